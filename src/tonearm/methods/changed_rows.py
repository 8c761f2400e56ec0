"""Rows of which every layer is changed as it is read, such as a part of them.

Shapes: n rows; m rows after the change; L layers; D width.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from tonearm.methods.base import Rows


@dataclass(frozen=True)
class ChangedRows:
    """View of rows [n, L, D] in memory or on disk.

    rows    to be changed
    change  of the rows of one layer: [n, D] -> [m, D]
    count   m
    """

    rows: Rows
    change: Callable[[torch.Tensor], torch.Tensor]
    count: int

    @property
    def shape(self) -> tuple[int, int, int]:
        _, layers, width = self.rows.shape
        return self.count, layers, width

    def __getitem__(self, place: tuple[slice, int]) -> torch.Tensor:
        rows, layer = place
        return self.change(self.rows[:, layer])[rows]
