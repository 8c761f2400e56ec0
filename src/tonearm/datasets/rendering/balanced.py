"""Balanced random subsets of a grid of factors."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np


def balanced_subset(
    sizes: Sequence[int], count: int, seed: int, allowed: np.ndarray | None = None
) -> np.ndarray:
    """Choose cells of a grid at random so that values occur equally often.

    Each cell is that with the lowest sum of the counts of its values so far, then of its pairs of
    values, then at random. So the first k cells are balanced too, for every k.

    Args:
        sizes: number of values of each factor.
        count: number of cells, at most that of all or of the allowed ones; all cells are in order.
        seed: of the choice.
        allowed: cells that can be chosen, bool [*sizes]; default: all.

    Returns:
        int64 [count, factors], no cell twice. The counts of the values of a factor differ by at
        most 1 for a small part of the grid, and by little for any.
    """
    cells = np.argwhere(np.ones(sizes, dtype=bool) if allowed is None else allowed)
    total = len(cells)
    if count == total:
        return cells
    cost = np.random.default_rng(seed).random(sizes)  # below 1, the cost of a pair
    if allowed is not None:
        cost[~allowed] = np.inf
    pairs = list(combinations(range(len(sizes)), 2))
    of_value = float(total * (len(pairs) + 1))  # above the costs of all pairs of a cell
    chosen = np.empty((count, len(sizes)), dtype=np.int64)
    for i in range(count):
        cell = np.unravel_index(int(cost.argmin()), sizes)
        chosen[i] = cell
        for factor in range(len(sizes)):
            cost[_slice(cell, (factor,))] += of_value
        for pair in pairs:
            cost[_slice(cell, pair)] += 1
        cost[cell] = np.inf
    return chosen


def _slice(cell: Sequence[np.intp], factors: Sequence[int]) -> tuple[slice | np.intp, ...]:
    """Index of all cells that share the values of some factors."""
    return tuple(cell[i] if i in factors else slice(None) for i in range(len(cell)))
