"""Logistic probe: the regularised optimum, its ends, and its choice of C."""

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.methods.planted import CONCEPT, cosine, planted
from tonearm.methods import method_named
from tonearm.methods.diffmean import MeanDifference
from tonearm.methods.logistic import GRID, LogisticSolver


def layer(n=80, width=6, share=0.5, gap=1.5, seed=0):
    rng = np.random.default_rng(seed)
    signs = np.where(np.arange(n) < share * n, 1.0, -1.0)[:, None]
    rows = 5 + 3 * (rng.normal(size=(n, width)) + gap / 2 * signs * (np.arange(width) == 0))
    return rows, signs


def solved(rows, signs, strength):
    return LogisticSolver((strength,)).solve(rows, signs).directions[0, 0]


@pytest.mark.parametrize("share", [0.5, 0.25])
@pytest.mark.parametrize("strength", [1e-3, 1.0])
def test_it_minimises_the_balanced_penalised_loss(strength, share):
    rows, signs = layer(share=share)
    labels = signs[:, 0]
    weights = np.where(labels > 0, 0.5 / (labels > 0).mean(), 0.5 / (labels < 0).mean())
    scaled = (rows - rows.mean(0)) / np.sqrt(rows.var(0).mean())

    def loss(found):
        margins = labels * (scaled @ found[1:] + found[0])
        return found[1:] @ found[1:] / 2 + strength * (weights * np.logaddexp(0, -margins)).sum()

    best = minimize(loss, np.zeros(rows.shape[1] + 1), tol=1e-12).x[1:]
    assert cosine(solved(rows, signs, strength), best) > 1 - 1e-6


def test_strong_regularisation_gives_diffmean():
    rows, signs = layer(share=0.25)
    expected = MeanDifference().solve(rows, signs).directions[0, 0]
    assert cosine(solved(rows, signs, 1e-6), expected) > 1 - 1e-6


def test_weak_regularisation_of_separable_rows_gives_the_largest_margin():
    rows = np.array([[0.0, 0], [0, 9], [4, 5], [4, 30]])
    signs = np.array([[-1.0], [-1], [1], [1]])
    assert cosine(solved(rows, signs, 1e6), [1, 0]) > 0.999


def test_the_scale_of_rows_does_not_change_the_meaning_of_c():
    rows, signs = layer()
    assert cosine(solved(rows, signs, 0.1), solved(1000 * rows, signs, 0.1)) > 1 - 1e-9


def test_fewer_rows_than_width():
    rng = np.random.default_rng(0)
    signs = np.where(np.arange(20) < 10, 1.0, -1.0)[:, None]
    rows = rng.normal(size=(20, 50)) + 4 * signs * (np.arange(50) == 3)
    found = solved(rows, signs, 1.0)
    assert np.linalg.norm(found) == pytest.approx(1) and found[3] > 0.8


def test_rows_without_variance_have_no_direction():
    _, signs = layer()
    assert not solved(np.ones((80, 6)), signs, 1.0).any()


def test_c_is_chosen_by_validation_and_of_equal_scores_the_smallest():
    nuisance = planted(60, 60, gap=2, nuisance_variance=400, rows_per_group=1, seed=1)
    assert method_named("bce-probe").fit(nuisance.activations).scores["C"][CONCEPT] >= 0.01
    clear = planted(40, 40, gap=12)
    assert method_named("bce-probe").fit(clear.activations).scores["C"][CONCEPT] == GRID[0]
