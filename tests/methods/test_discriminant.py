"""Discriminant analysis of several classes against scikit-learn."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from tonearm.methods.discriminant import predict_classes, shrunk_covariance

rng = np.random.default_rng(0)


def test_the_shrinkage_is_that_of_scikit_learn() -> None:
    rows = rng.normal(size=(40, 12)) @ rng.normal(size=(12, 12))
    expected, intensity = ledoit_wolf(rows, assume_centered=True)
    assert 0.01 < intensity < 1
    np.testing.assert_allclose(shrunk_covariance(rows), expected, rtol=1e-7)
    np.testing.assert_array_equal(shrunk_covariance(np.zeros((4, 3))), np.eye(3))


def test_predictions_are_those_of_scikit_learn() -> None:
    labels = np.repeat(np.arange(4), 15)
    means, mixing = rng.normal(size=(4, 8)), rng.normal(size=(8, 8))
    train, test = (means[labels] + rng.normal(size=(60, 8)) @ mixing + 100 for _ in range(2))
    residuals = train - np.stack([train[labels == one].mean(0) for one in range(4)])[labels]
    _, intensity = ledoit_wolf(residuals, assume_centered=True)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=intensity).fit(train, labels)
    found = predict_classes(train, labels, test)
    np.testing.assert_array_equal(found, model.predict(test))
    assert 0.3 < np.mean(found == labels) < 1


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_planted_classes_are_predicted(offset: float) -> None:
    labels = np.arange(60) % 3
    rows = rng.normal(size=(60, 100)) + offset
    rows[np.arange(60), labels] += 12
    assert (predict_classes(rows[:30], labels[:30], rows[30:]) == labels[30:]).all()
