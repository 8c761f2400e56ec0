"""Spread of values from the batch rows of an intervention over all forward rows.

Shapes: n batch rows of the intervention; R forward rows; S positions of a call.
"""

import torch

from tonearm.musicgen.conditioning import Conditioning
from tonearm.steering.intervention import Intervention


class RowSpread:
    """Forward rows [conditional..., unconditional...] of an intervention's batch rows and branch."""

    def __init__(self, intervention: Intervention, conditioning: Conditioning):
        rows, first_rows = intervention.rows, {"conditional": 0}
        if conditioning.guided:
            first_rows["unconditional"] = conditioning.rows
        self.source = torch.zeros(len(conditioning.states), dtype=torch.int64, device=rows.device)
        self.is_steered = torch.zeros_like(self.source, dtype=torch.bool)
        for branch, first in first_rows.items():
            if intervention.steer.branch in ("both", branch):
                self.source[rows + first] = torch.arange(len(rows), device=rows.device)
                self.is_steered[rows + first] = True

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Values [..., n, S] over all forward rows, [..., R, S]; 0 in rows that are not steered."""
        return torch.where(self.is_steered[:, None], values.index_select(-2, self.source), 0.0)
