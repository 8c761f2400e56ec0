"""Consistency of directions: halves, d' and pairs."""

from itertools import combinations

import numpy as np
import pytest
import torch

from tests.methods.planted import CONCEPT, LAYERS, cosine, planted
from tonearm.methods.consistency import consistency, mean_cosine
from tonearm.methods.diffmean import MeanDifference
from tonearm.methods.metrics import d_prime
from tonearm.methods.task import classes, numbers

SOLVERS = [MeanDifference()] * LAYERS


def of(truth, groups=None):
    groups = truth.groups.numpy() if groups is None else groups
    return consistency(truth.rows, classes(truth.labels.numpy()), groups, SOLVERS)


def test_d_prime_is_the_gap_in_units_of_the_spread():
    projections = np.array([[1.0, 3, 10, 14], [5, 5, 5, 5]])
    labels = np.array([0, 0, 1, 1])
    assert d_prime(projections, labels) == pytest.approx([10 / np.sqrt((1 + 4) / 2), 0])
    assert d_prime(-projections, labels)[0] == pytest.approx(-10 / np.sqrt(2.5))


def test_a_planted_gap_is_the_d_prime_of_its_layer_and_others_have_none():
    found = of(planted(300, 300, gap=3))
    assert set(found) == {"split_half_cosine", "d_prime"}
    assert found["d_prime"][CONCEPT] == pytest.approx(3, rel=0.1)
    assert found["split_half_cosine"][CONCEPT] > 0.8
    others = [layer for layer in range(LAYERS) if layer != CONCEPT]
    assert np.abs(found["d_prime"][others]).max() < 0.3
    assert np.abs(found["split_half_cosine"][others]).max() < 0.3


def test_noise_in_many_dimensions_has_no_d_prime():
    """Along a direction that is fitted to the same rows it has one of more than 2."""
    truth = planted(40, 40, gap=0, width=200, rows_per_group=1)
    x, labels = truth.rows[:, 0].double().numpy(), truth.labels.numpy()
    fitted = x[labels == 1].mean(0) - x[labels == 0].mean(0)
    assert d_prime(x @ fitted, labels) > 2
    assert np.abs(of(truth)["d_prime"]).max() < 0.8


def test_the_mean_cosine_is_that_of_all_pairs_of_rows():
    rows = np.random.default_rng(0).normal(size=(7, 5)) + 1
    expected = np.mean([cosine(a, b) for a, b in combinations(rows, 2)])
    assert mean_cosine(rows) == pytest.approx(expected)
    assert mean_cosine(np.array([[1.0, 0], [0, 0]])) == 0


def test_groups_with_both_labels_are_pairs_and_have_a_pair_cosine():
    """The differences of pairs are the concept with noise of √2 in each of 24 dimensions."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(200, LAYERS, 24))
    rows[:100, CONCEPT, 0] += 10
    labels, groups = np.repeat([1, 0], 100), np.tile(np.arange(100), 2)
    found = consistency(torch.tensor(rows), classes(labels), groups, SOLVERS)
    differences = rows[:100, CONCEPT] - rows[100:, CONCEPT]
    expected = np.mean([cosine(a, b) for a, b in combinations(differences, 2)])
    assert found["pair_cosine"][CONCEPT] == pytest.approx(expected) and expected > 0.5
    assert abs(found["pair_cosine"][0]) < 0.05


def test_the_difference_of_a_group_of_many_rows_is_that_of_their_means():
    rng = np.random.default_rng(2)
    rows, labels = rng.normal(size=(32, 1, 3)), np.tile([1, 0, 0, 1], 8)
    groups = np.repeat(np.arange(8), 4)
    differences = [
        rows[(groups == g) & (labels == 1), 0].mean(0)
        - rows[(groups == g) & (labels == 0), 0].mean(0)
        for g in range(8)
    ]
    found = consistency(torch.tensor(rows), classes(labels), groups, SOLVERS[:1])
    assert found["pair_cosine"][0] == pytest.approx(mean_cosine(np.array(differences)))


def test_numbers_have_halves_alone():
    rng = np.random.default_rng(3)
    rows, y = rng.normal(size=(60, 1, 4)), rng.normal(size=60)
    rows[:, 0, 2] += 3 * y
    found = consistency(torch.tensor(rows), numbers(y), np.arange(60), SOLVERS[:1])
    assert set(found) == {"split_half_cosine"} and found["split_half_cosine"][0] > 0.8
