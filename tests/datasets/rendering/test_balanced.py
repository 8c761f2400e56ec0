"""Balanced random subsets of a grid."""

from itertools import combinations

import numpy as np
import pytest

from tonearm.datasets.rendering.balanced import balanced_subset

NOTES = (12, 9, 92)


def spread(cells: np.ndarray, sizes: tuple[int, ...]) -> int:
    """Largest difference between the counts of two values of one factor."""
    return max(
        int(np.ptp(np.bincount(cells[:, factor], minlength=size)))
        for factor, size in enumerate(sizes)
    )


@pytest.mark.parametrize("sizes", [NOTES, (12, 4, 3, 92), (161, 5, 5)])
@pytest.mark.parametrize("count", [7, 50, 200, 1000])
def test_values_occur_equally_often_in_every_beginning(sizes: tuple[int, ...], count: int) -> None:
    cells = balanced_subset(sizes, count, seed=0)
    assert cells.shape == (count, len(sizes)) and len(np.unique(cells, axis=0)) == count
    assert all(spread(cells[:k], sizes) <= 1 for k in range(1, count + 1, 13))


def test_pairs_of_values_are_spread_too() -> None:
    cells = balanced_subset(NOTES, 1000, seed=0)
    for i, j in combinations(range(3), 2):
        pairs = cells[:, i] * NOTES[j] + cells[:, j]
        assert np.ptp(np.bincount(pairs, minlength=NOTES[i] * NOTES[j])) <= 2


@pytest.mark.parametrize("count", [9_000, 9_935])
def test_large_parts_of_a_grid_are_nearly_balanced(count: int) -> None:
    cells = balanced_subset(NOTES, count, seed=0)
    assert len(np.unique(cells, axis=0)) == count
    assert spread(cells, NOTES) <= 3


def test_all_cells_are_in_order_and_a_seed_decides_the_choice() -> None:
    np.testing.assert_array_equal(
        balanced_subset((2, 3), 6, seed=5), [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    )
    first, again, other = (balanced_subset(NOTES, 100, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_a_subset_of_the_allowed_cells_is_balanced() -> None:
    allowed = np.zeros(NOTES, dtype=bool)
    allowed[5] = True  # one pitch class
    cells = balanced_subset(NOTES, 200, 0, allowed)
    assert set(cells[:, 0]) == {5} and len(np.unique(cells, axis=0)) == 200
    for factor in (1, 2):
        counts = np.bincount(cells[:, factor], minlength=NOTES[factor])
        assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(
        balanced_subset(NOTES, int(allowed.sum()), 0, allowed), np.argwhere(allowed)
    )
