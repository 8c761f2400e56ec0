"""Folds keep groups whole and labels balanced; permutations keep the labels of every fold."""

import numpy as np
import pytest

from tonearm.errors import TonearmError
from tonearm.methods.splits import (
    can_hold_out,
    grouped_folds,
    permuted,
    permuted_numbers,
    rotations,
)


def labelled(groups_per_label=(12, 9), seed=0):
    """Labels and groups of unequal sizes; each group has one label."""
    rng = np.random.default_rng(seed)
    label_of = np.repeat(np.arange(len(groups_per_label)), groups_per_label)
    groups = np.repeat(np.arange(len(label_of)), rng.integers(1, 6, len(label_of)))
    order = rng.permutation(len(groups))
    return label_of[groups][order], groups[order]


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_divided_and_every_fold_has_its_share_of_each_label(seed):
    labels, groups = labelled(seed=seed)
    folds = grouped_folds(labels, groups, 5, seed)
    assert all(len(np.unique(folds[groups == group])) == 1 for group in np.unique(groups))
    for label in (0, 1):
        counts = np.bincount(folds[labels == label], minlength=5)
        assert counts.min() > 0 and counts.max() - counts.min() <= 5  # rows of the largest group


def test_folds_depend_on_the_seed_alone():
    labels, groups = labelled()
    assert (grouped_folds(labels, groups, 5, 1) == grouped_folds(labels, groups, 5, 1)).all()
    assert (grouped_folds(labels, groups, 5, 1) != grouped_folds(labels, groups, 5, 2)).any()


def test_groups_with_both_labels_stay_whole():
    groups = np.repeat(np.arange(20), 4)
    labels = np.tile([0, 0, 1, 1], 20)
    folds = grouped_folds(labels, groups, 5, 0)
    assert np.bincount(folds).tolist() == [16] * 5
    assert all(len(np.unique(folds[groups == group])) == 1 for group in range(20))


def test_too_few_groups_of_a_label_are_refused():
    labels, groups = labelled((10, 4))
    with pytest.raises(TonearmError, match="cannot be divided into 5 parts"):
        grouped_folds(labels, groups, 5, 0)
    assert not can_hold_out(labels, groups)
    assert not can_hold_out(*labelled((10, 5))) and can_hold_out(*labelled((6, 6)))


def test_rotations_are_disjoint_and_every_fold_tests_and_validates_once():
    labels, groups = labelled()
    splits = rotations(grouped_folds(labels, groups, 5, 0))
    for split in splits:
        parts = np.stack([split.train, split.validation, split.test])
        assert (parts.sum(0) == 1).all() and parts.any(1).all()
    for name in ("validation", "test"):
        assert (np.sum([getattr(split, name) for split in splits], axis=0) == 1).all()


def test_permutations_keep_groups_and_the_labels_of_every_fold():
    labels, groups = labelled()
    folds = grouped_folds(labels, groups, 5, 0)
    found = permuted(labels, groups, folds, 50, 0)
    assert found.shape == (len(labels), 50) and found.dtype == labels.dtype
    _, first = np.unique(groups, return_index=True)
    for column in found.T:
        assert all(len(np.unique(column[groups == group])) == 1 for group in groups)
        for fold in range(5):
            members = first[folds[first] == fold]
            assert sorted(column[members]) == sorted(labels[members])
    assert (found != labels[:, None]).any(0).mean() > 0.9
    assert abs(found[first].mean() - labels[first].mean()) < 1e-9


def test_numbers_exchange_the_means_of_groups_and_permute_the_rest():
    """Numbers of a group that are nearly equal would otherwise stay as they are."""
    groups = np.array([0, 0, 1, 1, 1, 2, 3, 3])
    numbers = np.array([1.0, 3.0, 10.0, 11.0, 12.0, 20.0, 30.0, 30.0])
    folds = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    found = permuted_numbers(numbers, groups, folds, 100, 0)
    means = np.stack([found[groups == one].mean(0) for one in range(4)])
    assert {tuple(sorted(column)) for column in means[:3].T} == {(2, 11, 20)}
    assert len({tuple(column) for column in means[:3].T}) == 6
    rest = found - means[groups]
    assert {tuple(sorted(column)) for column in rest[:2].T} == {(-1, 1)}
    assert len({tuple(column) for column in rest[2:5].T}) == 6
    assert (found[6:] == 30).all()


def test_numbers_that_are_constant_in_groups_are_permuted_as_labels_are():
    labels, groups = labelled()
    folds, numbers = grouped_folds(labels, groups, 5, 0), groups * 0.1
    expected = permuted(numbers, groups, folds, 20, 3)
    assert (permuted_numbers(numbers, groups, folds, 20, 3) == expected).all()


def test_groups_with_several_targets_permute_their_own_rows():
    groups = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3])
    targets = np.array([1.0, 2.0, 3.0, 7.0, 7.0, 8.0, 8.0, 9.0, 9.0])
    folds = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1])
    found = permuted(targets, groups, folds, 100, 0)
    assert {tuple(sorted(column)) for column in found[:3].T} == {(1, 2, 3)}
    assert len({tuple(column) for column in found[:3].T}) == 6
    assert {tuple(column) for column in found[3:7].T} == {(7, 7, 8, 8), (8, 8, 7, 7)}
    assert (found[7:] == 9).all()
