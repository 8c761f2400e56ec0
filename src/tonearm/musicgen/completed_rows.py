"""Result of an engine: rows of a batch that are complete."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class CompletedRows:
    """Rows of equal length T.

    members  indices of n rows in their batch, ascending
    codes    int64 [n, K, T], on the CPU
    acted    for each row: strengths of its monitored steers as they acted, float32 [T] on the CPU,
             by the position of the steer in the row's list
    """

    members: Sequence[int]
    codes: torch.Tensor
    acted: Sequence[Mapping[int, torch.Tensor]]
