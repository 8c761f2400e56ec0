"""Gates: values by which the strength of a steer is multiplied at every row, layer and frame.

Captured steps read a gate's values at the current frame from a tensor, which `seek` writes in place.

Shapes: n batch rows of an intervention; R forward rows; L its target layers; S positions of a call.
"""

from collections.abc import Sequence
from typing import Protocol

import torch

from tonearm.backend import Span
from tonearm.musicgen.cuda_graphs import Keep
from tonearm.musicgen.noise import uniform_gates
from tonearm.musicgen.row_spread import RowSpread
from tonearm.steering.intervention import Intervention

RUN_FRAMES = (
    64  # that are drawn at a time: one frame's are too little work for the operators it takes
)
ENDLESS = 2**62  # last frame of a row without an end


class Gate(Protocol):
    """Openness of a steer, 0 to 1."""

    def seek(self, frame: int) -> None:
        """Set the values that steps of one position read to those of `frame`."""
        ...

    def at(self, index: int, span: Span) -> torch.Tensor:
        """Values [R, S, 1] in one of the target layers, by its index, at the positions of a span."""
        ...

    def place(self, keep: Keep, name: str) -> None:
        """Move the values to where captured steps read them; call `seek` before the next step."""
        ...

    def hold_after(self, lengths: Sequence[int]) -> None:
        """Keep each of the n rows' values at its last frame for all frames after it."""
        ...


class RandomGate:
    """Opens with a probability at each frame and layer, by noise of its own.

    The noise is a function of (seed of the take, position of the steer, layer, frame): it leaves
    the sampling noise alone, and does not depend on the rest of the batch. The prefix has the gate
    of its first frame.

    Args:
        intervention: whose steer has the probability.
        seeds: of all batch rows.
        spread: of the intervention.
    """

    def __init__(self, intervention: Intervention, seeds: Sequence[int], spread: RowSpread):
        self.noise, self.spread = GateNoise(intervention, seeds), spread
        rows, device = len(intervention.rows), intervention.rows.device
        self.last = torch.full((rows, 1), ENDLESS, device=device)
        self.first, self.run = 0, torch.empty(0)  # values [frames, L, R, 1] from frame `first` on
        self.now = torch.zeros(len(intervention.layers), len(spread.source), 1, device=device)

    def seek(self, frame: int) -> None:
        if not self.first <= frame < self.first + len(self.run):
            frames = torch.arange(frame, frame + RUN_FRAMES, device=self.last.device)
            self.first, self.run = frame, self._values(frames).permute(2, 0, 1)[..., None]
        self.now.copy_(self.run[frame - self.first])

    def at(self, index: int, span: Span) -> torch.Tensor:
        if span.length == 1:
            return self.now[index][:, None]
        frames = [span.first] * span.prefix + list(span.code_positions)
        values = self._values(torch.tensor(frames, device=self.last.device))
        return values[index][..., None]

    def place(self, keep: Keep, name: str) -> None:
        self.now = keep(f"{name}, gate", torch.zeros_like(self.now))

    def hold_after(self, lengths: Sequence[int]) -> None:
        self.last = torch.tensor(lengths, device=self.last.device)[:, None] - 1
        self.run = self.run[:0]

    def _values(self, frames: torch.Tensor) -> torch.Tensor:
        """Values [L, R, S] at frames [S]."""
        return self.spread(self.noise.open_at(torch.minimum(frames, self.last)))


class GateNoise:
    """Which gates of an intervention are open.

    Args:
        intervention: whose steer has the probability.
        seeds: of all batch rows.
    """

    def __init__(self, intervention: Intervention, seeds: Sequence[int]):
        device = intervention.rows.device
        self.probability, self.position = intervention.steer.gate, intervention.position
        self.seeds = torch.tensor(seeds, device=device)[intervention.rows]
        self.layers = torch.tensor(list(intervention.layers), device=device)

    def open_at(self, frames: torch.Tensor) -> torch.Tensor:
        """1 where a gate is open, 0 where it is closed, float32 [L, n, S], at frames [n, S]."""
        noise = uniform_gates(self.seeds, frames, self.layers, self.position)
        return (noise < self.probability).float()
