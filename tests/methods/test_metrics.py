"""Metrics are those of scikit-learn and NumPy, for batches."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from tonearm.methods.metrics import auc, balanced_accuracy, correlation, midpoint


@pytest.fixture
def batch():
    """Projections [2, 3, 40] with ties, and labels [3, 40]."""
    rng = np.random.default_rng(0)
    labels = np.where(rng.random((3, 40)) > 0.7, 1.0, -1.0)
    return (rng.normal(size=(2, 3, 40)) + labels).round(1), labels


def test_auc_of_a_batch(batch):
    projections, labels = batch
    found = auc(projections, labels)
    assert found.shape == (2, 3)
    for r in range(2):
        for p in range(3):
            assert found[r, p] == pytest.approx(roc_auc_score(labels[p], projections[r, p]))
    assert auc(np.zeros((1, 3, 40)), labels).tolist() == [[0.5] * 3]


def test_correlation_of_a_batch_and_of_constants(batch):
    projections, labels = batch
    found = correlation(projections, labels)
    for r in range(2):
        for p in range(3):
            assert found[r, p] == pytest.approx(np.corrcoef(projections[r, p], labels[p])[0, 1])
    assert not correlation(np.ones((1, 3, 40)), labels).any()
    assert not correlation(projections, np.ones((3, 40))).any()


def test_balanced_accuracy_at_a_threshold(batch):
    projections, labels = batch
    found = balanced_accuracy(projections[0], labels[0], np.array([0.0, 0.5, -1.0]))
    for p, threshold in enumerate((0.0, 0.5, -1.0)):
        expected = balanced_accuracy_score(labels[0] > 0, projections[0, p] > threshold)
        assert found[p] == pytest.approx(expected)


def test_the_midpoint_does_not_depend_on_the_counts_of_the_classes():
    projections = np.array([[0.0, 0, 0, 0, 0, 4]])
    assert midpoint(projections, np.array([-1, -1, -1, -1, -1, 1])).tolist() == [2.0]
