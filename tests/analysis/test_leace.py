"""LEACE: class means become equal, the mean stays, and the edit is small."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from tonearm.analysis.leace import CrossMoments, Eraser, fit_leace, shrunk
from tonearm.errors import TonearmError
from tonearm.steering.operators import remove

WIDTH = 24


def planted(n=4000, classes=2, seed=0, width=WIDTH):
    """Rows with class offsets in correlated noise, one wide axis of which is not the concept."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width)) @ np.diag(np.geomspace(6, 0.3, width))
    labels = rng.integers(classes, size=n)
    offsets = 4 * rng.normal(size=(classes, width))
    return 7 + rng.normal(size=(n, width)) @ mixing + offsets[labels], labels


def eraser_of(rows, labels, classes=2, batches=3, **options) -> Eraser:
    moments = CrossMoments(classes)
    for part in np.array_split(np.arange(len(rows)), batches):
        moments.add(rows[part], labels[part])
    return fit_leace(moments, **options)


def class_means(rows, labels):
    return np.array([rows[labels == label].mean(0) for label in np.unique(labels)])


def accuracy(rows, labels):
    """Of a logistic probe on the held-out half."""
    train, test = slice(None, len(rows) // 2), slice(len(rows) // 2, None)
    probe = LogisticRegression(max_iter=2000).fit(rows[train], labels[train])
    return probe.score(rows[test], labels[test])


def test_after_erasure_a_linear_probe_is_at_chance_and_the_mean_is_unchanged():
    rows, labels = planted()
    erased = eraser_of(rows, labels).apply(rows)
    assert accuracy(rows, labels) > 0.95
    assert abs(accuracy(erased, labels) - 0.5) < 0.05
    assert np.allclose(erased.mean(0), rows.mean(0), atol=1e-9)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("shrinkage", [True, False])
def test_all_class_means_become_equal_by_an_edit_of_rank_classes_minus_one(classes, shrinkage):
    rows, labels = planted(classes=classes)
    eraser = eraser_of(rows, labels, classes, shrinkage=shrinkage)
    means = class_means(eraser.apply(rows), labels)
    assert np.abs(means - rows.mean(0)).max() < 1e-8
    assert np.linalg.matrix_rank(eraser.left @ eraser.right) == classes - 1


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("n", [12, 20, 60])
def test_with_few_rows_class_means_become_equal_and_variance_does_not_grow(n, classes):
    for seed in range(10):
        rows, _ = planted(n, seed=seed)
        labels = np.arange(n) % classes
        erased = eraser_of(rows, labels, classes).apply(rows)
        assert np.abs(class_means(erased, labels) - rows.mean(0)).max() < 1e-7
        assert erased.var(0).sum() < rows.var(0).sum()


def test_the_edit_is_smaller_than_removal_of_the_mean_difference_which_erases_as_well():
    rows, labels = planted()
    means = class_means(rows, labels)
    delta = torch.from_numpy(means[1] - means[0])
    removed = remove(torch.from_numpy(rows), delta, torch.tensor(1.0)).numpy()
    erased = eraser_of(rows, labels).apply(rows)
    assert np.abs(np.diff(class_means(removed, labels), axis=0)).max() < 1e-4
    change = [np.square(edited - rows).sum(1).mean() for edited in (erased, removed)]
    assert change[0] < 0.8 * change[1]


def test_removal_of_probe_weights_does_not_equalise_the_class_means():
    """Why `remove` needs the difference of means."""
    rows, labels = planted()
    means = class_means(rows, labels)
    weights = np.linalg.solve(np.cov(rows.T), means[1] - means[0])
    removed = remove(torch.from_numpy(rows), torch.from_numpy(weights), torch.tensor(1.0)).numpy()
    gap = np.linalg.norm(np.diff(class_means(removed, labels), axis=0))
    assert gap > 0.5 * np.linalg.norm(means[1] - means[0])
    assert accuracy(removed, labels) > 0.7


def test_no_concept_gives_no_edit():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(20_000, 4))
    rows -= rows.mean(0)
    balanced = np.concatenate([rows, -rows])  # both classes have the mean 0
    labels = np.tile([0, 1], 20_000)
    labels = np.concatenate([labels[:20_000], labels[:20_000]])
    assert np.array_equal(eraser_of(balanced, labels, batches=1).apply(balanced), balanced)


def test_moments_of_batches_are_those_of_all_rows():
    rows, labels = planted(n=50)
    moments = CrossMoments(2)
    for part in np.array_split(np.arange(50), 7):
        moments.add(rows[part], labels[part])
    assert np.allclose(moments.covariance, np.cov(rows.T, bias=True))
    cross = (rows - rows.mean(0)).T @ (np.eye(2)[labels]) / 50
    assert np.allclose(moments.cross_covariance, cross)


def test_shrinkage_keeps_the_trace_and_needs_little_of_it_with_many_rows():
    rows, _ = planted(n=30)
    covariance = np.cov(rows.T, bias=True)
    found = shrunk(covariance, 30)
    assert np.trace(found) == pytest.approx(np.trace(covariance))
    assert np.linalg.cond(found) < np.linalg.cond(covariance)
    assert np.allclose(shrunk(covariance, 10**9), covariance, rtol=1e-6)
    assert np.allclose(shrunk(np.eye(3), 5), np.eye(3))


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (np.ones((3, 4)), [0, 1], "labels do not fit 3 rows"),
        (np.ones((2, 4)), [0.0, 1.0], "labels do not fit 2 rows"),
        (np.ones((2, 4)), [0, 2], "outside 0..1"),
        (np.ones((2, 3)), [0, 1], "rows are 3 wide, earlier ones 4"),
        (np.full((2, 4), np.nan), [0, 1], "NaN"),
        (np.ones(4), [0, 1, 0, 1], "2 dimensions"),
    ],
)
def test_rows_and_labels_that_do_not_match_are_refused(rows, labels, message):
    moments = CrossMoments(2)
    moments.add(np.zeros((2, 4)), np.array([0, 1]))
    with pytest.raises(TonearmError, match=message):
        moments.add(rows, np.array(labels))


def test_a_batch_without_rows_changes_nothing():
    rows = np.random.default_rng(0).normal(size=(20, 3))
    labels = np.arange(20) % 2
    once, again = CrossMoments(2), CrossMoments(2)
    once.add(rows, labels)
    for part in (slice(0, 0), slice(None), slice(0, 0)):
        again.add(rows[part], labels[part])
    assert again.count == 20 and np.array_equal(again.covariance, once.covariance)


def test_too_little_is_refused():
    with pytest.raises(TonearmError, match="1 classes hold no concept"):
        CrossMoments(1)
    with pytest.raises(TonearmError, match="0 rows have no covariance"):
        fit_leace(CrossMoments(2))
