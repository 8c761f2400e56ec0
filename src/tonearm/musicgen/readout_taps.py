"""Projections of the newest frame's activations on directions, read while decoding.

Taps write them into a buffer, in captured steps too, before any steer of the layer acts. No value
leaves the device until one is asked for.

Shapes: B batch rows; n readouts; m of them at one site and layer; R forward rows, the conditional
ones first; S positions of a call; D width.
"""

import math
from collections.abc import Sequence

import torch

from tonearm.backend import Site, Span
from tonearm.musicgen.cuda_graphs import Keep
from tonearm.steering.readout import Readout


class ReadoutTap:
    """Tap of the readouts at one site and layer, which changes nothing.

    `values` [B, m] are the projections of the conditional rows at the newest call, NaN before it.

    Args:
        directions: unit directions, float32 [m, D].
        rows: B.
    """

    def __init__(self, directions: torch.Tensor, rows: int):
        self.rows = rows
        self._own = self.directions = directions
        self.values = torch.full((rows, len(directions)), math.nan, device=directions.device)

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        newest = h[: self.rows, -1].float()
        self.values.copy_(newest @ self.directions.T)

    def place(self, keep: Keep, name: str) -> None:
        """Move the tensors to where captured steps read and write them."""
        self.directions = keep(f"{name}, directions", self._own)
        self.values = keep(f"{name}, values", self.values)

    def detach(self) -> None:
        """Keep the values where no later decoding writes."""
        self.values = self.values.clone()


class ReadoutTaps:
    """Taps of several readouts, by site and layer.

    Args:
        readouts: to read.
        rows: B.
        device: of the activations.
    """

    def __init__(self, readouts: Sequence[Readout], rows: int, device: torch.device):
        self.members: dict[tuple[Site, int], list[int]] = {}
        for index, one in enumerate(readouts):
            self.members.setdefault((one.site, one.layer), []).append(index)
        self.taps = {
            place: ReadoutTap(
                torch.stack([readouts[index].direction for index in members]).to(device), rows
            )
            for place, members in self.members.items()
        }

    def at(self, place: tuple[Site, int]) -> list[ReadoutTap]:
        """Taps at a site and layer: one or none."""
        return [self.taps[place]] if place in self.taps else []

    def values(self) -> list[list[float]]:
        """Projections of each readout in each row, [n][B]; waits for the device."""
        found: dict[int, list[float]] = {}
        for place, members in self.members.items():
            of_rows = self.taps[place].values.tolist()
            found |= {index: [row[i] for row in of_rows] for i, index in enumerate(members)}
        return [found[index] for index in range(len(found))]
