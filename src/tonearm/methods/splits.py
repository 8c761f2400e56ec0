"""Grouped folds of rows, their rotations, and permutations of labels within folds.

A group is a track, a prompt, or any other unit whose rows resemble each other, such as one pair of
BPM and drum kit. No group is ever divided between parts.

Shapes: n rows; G groups; P permutations.
"""

from dataclasses import dataclass

import numpy as np

from tonearm.errors import TonearmError

FOLDS = 5
# With 5 groups a side, a permutation within 5 folds can only exchange the labels of a fold, and 2
# of the 32 permutations score as high as the true labels: p is never below 0.05.
MIN_GROUPS = FOLDS + 1
MIN_HALVED = 4  # groups of a stratum of which each half holds two or more


@dataclass(frozen=True)
class Split:
    """Three disjoint parts of the rows, bool [n] each."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def can_hold_out(strata: np.ndarray, groups: np.ndarray, least: int = MIN_GROUPS) -> bool:
    """Whether every stratum (a label) occurs in enough groups to hold some of them out.

    Args:
        strata: label of each row, [n].
        groups: group of each row, int [n].
        least: groups of each stratum; MIN_GROUPS for held-out scores, MIN_HALVED for halves.
    """
    return min(len(np.unique(groups[strata == one])) for one in np.unique(strata)) >= least


def grouped_folds(strata: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Divide rows into folds with about equal shares of every stratum.

    Groups are assigned in random order, the largest first, each to the fold that holds the smallest
    share of the group's strata.

    Args:
        strata: label of each row, or any other integer to balance, [n].
        groups: group of each row, int [n].
        count: of folds.
        seed: of the order.

    Returns:
        Fold of each row, int [n], from 0.

    Raises:
        TonearmError: a stratum that is missing in a fold.
    """
    _, stratum = np.unique(strata, return_inverse=True)
    names, group = np.unique(groups, return_inverse=True)
    rows = np.zeros((len(names), stratum.max() + 1))  # [G, strata]
    np.add.at(rows, (group, stratum), 1)
    shares = rows / rows.sum(0)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-rows[order].sum(1), kind="stable")]
    held = np.zeros((count, rows.shape[1]))
    fold_of = np.empty(len(names), dtype=np.int64)
    for index in order:
        overlap = held @ shares[index]
        fold_of[index] = np.lexsort((held.sum(1), overlap))[0]
        held[fold_of[index]] += shares[index]
    if not held.all():
        raise TonearmError(
            f"the groups cannot be divided into {count} parts that hold every label; "
            "give more groups of each label"
        )
    return fold_of[group]


def rotations(folds: np.ndarray) -> list[Split]:
    """Make one split per fold: it is the test part, the next fold validates, the others train."""
    count = int(folds.max()) + 1
    parts = [(folds == test, folds == (test + 1) % count) for test in range(count)]
    return [Split(~(test | validation), validation, test) for test, validation in parts]


def permuted(
    labels: np.ndarray, groups: np.ndarray, folds: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """Permute labels, so that they carry no information about the rows.

    Groups with one label exchange it with others of their fold; a group with several labels permutes
    them among its own rows. Every fold keeps its labels.

    Args:
        labels: of each row, [n].
        groups: of each row, int [n].
        folds: of each row, int [n].
        count: of permutations.
        seed: of the permutations.

    Returns:
        [n, P] in the type of `labels`.
    """
    rng = np.random.default_rng(seed)
    first, group, mixed = _grouped(labels, groups)
    found = np.repeat(labels[:, None], count, axis=1)
    _exchange(found, labels[first], first, group, folds, ~mixed, rng)
    for index in np.flatnonzero(mixed):
        rows = np.flatnonzero(group == index)
        found[rows] = _shuffled(labels[rows], count, rng)
    return found


def permuted_numbers(
    numbers: np.ndarray, groups: np.ndarray, folds: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """Permute numbers, so that they carry no information about the rows.

    Groups exchange their means with others of their fold, and each permutes the differences from its
    mean among its own rows: numbers of one group may be nearly equal, so that to permute them alone
    would change little.

    Args:
        numbers: of each row, float64 [n].
        groups, folds, count, seed: as of `permuted`.

    Returns:
        float64 [n, P].
    """
    rng = np.random.default_rng(seed)
    first, group, mixed = _grouped(numbers, groups)
    means = np.bincount(group, numbers) / np.bincount(group)
    means = np.where(mixed, means, numbers[first])
    found = np.repeat(numbers[:, None], count, axis=1)
    _exchange(found, means, first, group, folds, np.ones(len(first), dtype=bool), rng)
    for index in np.flatnonzero(mixed):
        rows = np.flatnonzero(group == index)
        found[rows] += _shuffled(numbers[rows] - means[index], count, rng)
    return found


def _grouped(targets: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first row of each group [G], the number of each row's group [n], and whether a group has
    several targets [G].
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    mixed = np.zeros(len(first), dtype=bool)
    np.logical_or.at(mixed, group, targets != targets[first][group])
    return first, group, mixed


def _exchange(
    found: np.ndarray,
    values: np.ndarray,
    first: np.ndarray,
    group: np.ndarray,
    folds: np.ndarray,
    chosen: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Give the chosen groups [G] each other's values [G] within their fold, in `found` [n, P]."""
    for fold in np.unique(folds):
        members = np.flatnonzero((folds[first] == fold) & chosen)
        rows = np.flatnonzero((folds == fold) & chosen[group])
        drawn = _shuffled(values[members], found.shape[1], rng)
        found[rows] = drawn[np.searchsorted(members, group[rows])]


def _shuffled(pool: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Permutations of a pool, [n, P]."""
    return rng.permuted(np.repeat(pool[:, None], count, axis=1), axis=0)
