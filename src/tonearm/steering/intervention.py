"""Intervention: one steer of a specification, resolved to tensors, layers and frames.

Shapes: n batch rows with equal settings, G distinct directions per row, D width, T frames, S
positions of a call.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from tonearm.backend import Site
from tonearm.steering.monitor import RowMonitors
from tonearm.steering.operators import apply
from tonearm.steering.reader import read_feature
from tonearm.steering.spec import Steer


@dataclass(frozen=True)
class Intervention:
    """One steer at all its layers, for the batch rows whose steers share its settings.

    steer       the settings; vector, strength and schedule are those of the first row
    position    index of the steer in its rows' lists; lower positions are applied first
    vectors     name of each row's vector [n]
    site        where in a block the activation is edited
    rows        int64 [n], batch rows
    directions  float32 [G, n, D]
    layers      target layer -> index into the first axis of `directions`
    strengths   float32 [n, T]; the last column holds for later frames
    levels      likewise, of operator set, and of feature with a level; None for the others
    scales      offset and unit of the levels on each direction, float32 [G, n, 2]; likewise
    monitors    of the rows, where the steer is monitored
    readers     of the features (tonearm/steering/reader.py), float32 [G, n, D + 2], of operator
                feature; None for the others
    """

    steer: Steer
    position: int
    vectors: tuple[str, ...]
    site: Site
    rows: torch.Tensor
    directions: torch.Tensor
    layers: Mapping[int, int]
    strengths: torch.Tensor
    levels: torch.Tensor | None = None
    scales: torch.Tensor | None = None
    monitors: RowMonitors | None = None
    readers: torch.Tensor | None = None

    @property
    def bounds(self) -> tuple[float, float]:
        """Bounds of the projection, for clamp; infinite where the steer has none."""
        low, high = self.steer.low, self.steer.high
        return float("-inf") if low is None else low, float("inf") if high is None else high

    def targets(self, levels: torch.Tensor) -> torch.Tensor:
        """Projections or values at levels [n, S], for each direction, float32 [G, n, S]."""
        assert self.scales is not None
        offset, unit = self.scales[..., None].unbind(2)
        return offset + levels * unit

    def apply(
        self,
        h: torch.Tensor,
        directions: torch.Tensor,
        strength: torch.Tensor,
        *,
        bounds: torch.Tensor | None = None,
        target: torch.Tensor | None = None,
        readers: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Edit activations.

        Args:
            h: [n, S, D].
            directions: [n, 1, D].
            strength: [n, S, 1].
            bounds: [2], those of the projection, in a tensor; default: those of the steer.
            target: [n, S, 1], for operators set and feature.
            readers: [n, 1, D + 2], for operator feature.
        """
        low, high = self.bounds if bounds is None else bounds.unbind()
        steer = self.steer
        return apply(
            steer.operator,
            h,
            directions,
            strength,
            scale=steer.scale,
            low=low,
            high=high,
            target=target,
            reading=None if readers is None else read_feature(h, readers),
        )
