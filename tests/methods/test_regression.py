"""Continuous labels: the planted direction, least squares, and the covariance vector."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from tests.methods.planted import cosine
from tonearm.errors import TonearmError
from tonearm.methods import fit_regression
from tonearm.methods.ridge import MAX_LAMBDA

LAYERS, WIDTH, CONCEPT = 2, 12, 1


def tempi(n=120, gain=2.0, seed=0):
    """Rows that move along a direction of layer CONCEPT with BPM; three rows of a track each."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=WIDTH)
    direction /= np.linalg.norm(direction)
    groups = np.arange(n) // 3
    bpm = rng.uniform(60, 180, groups.max() + 1)[groups]
    rows = rng.normal(size=(n, LAYERS, WIDTH))
    rows[:, CONCEPT] += gain * ((bpm - bpm.mean()) / bpm.std())[:, None] * direction
    return torch.tensor(rows, dtype=torch.float32), bpm, groups, direction


@pytest.mark.parametrize("lam", [None, 0.0, 1.0, MAX_LAMBDA])
def test_the_planted_direction_is_found_with_its_length(lam):
    rows, bpm, groups, direction = tempi()
    fit = fit_regression(rows, bpm, groups, lam)
    assert cosine(fit.directions[CONCEPT], direction) > 0.9
    assert float(fit.directions[CONCEPT].norm()) == pytest.approx(2.0, rel=0.1)
    assert fit.best_layer == CONCEPT and fit.has_direction
    assert fit.scores["correlation"][CONCEPT] > 0.8
    assert abs(fit.scores["correlation"][0]) < 0.3
    assert "accuracy" not in fit.scores
    if lam is not None:
        assert fit.scores["lambda"].tolist() == [lam] * LAYERS


def test_the_null_holds_no_information_where_numbers_differ_within_a_track():
    rows, bpm, groups, direction = tempi()
    fit = fit_regression(rows, bpm + 1e-3 * (np.arange(len(bpm)) % 3), groups)
    assert fit.statistics["null_correlation"] < 0.5 and fit.has_direction
    assert cosine(fit.directions[CONCEPT], direction) > 0.9


def test_the_ends_are_least_squares_and_the_covariance_vector():
    rows, bpm, groups, _ = tempi(gain=0.5)
    x = rows[:, CONCEPT].double().numpy()
    least_squares = LinearRegression().fit(x, bpm).coef_
    covariance = (x - x.mean(0)).T @ (bpm - bpm.mean())
    assert (
        cosine(fit_regression(rows, bpm, groups, 0).directions[CONCEPT], least_squares) > 1 - 1e-6
    )
    far = fit_regression(rows, bpm, groups, MAX_LAMBDA).directions[CONCEPT]
    assert cosine(far, covariance) > 1 - 1e-6
    assert float(far.norm()) == pytest.approx(
        np.linalg.norm(covariance) / len(x) / bpm.std(), rel=1e-4
    )


def test_scale_and_offset_of_the_numbers_do_not_matter_and_their_sign_does():
    rows, bpm, groups, _ = tempi()
    fit = fit_regression(rows, bpm, groups)
    same = fit_regression(rows, 1000 * bpm - 5, groups)
    assert torch.allclose(fit.directions, same.directions, atol=1e-5)
    negated = fit_regression(rows, -bpm, groups)
    assert torch.allclose(fit.directions, -negated.directions, atol=1e-5)


def test_numbers_without_meaning_have_no_direction():
    rows, bpm, groups, _ = tempi(gain=0)
    assert not fit_regression(rows, bpm, groups).has_direction


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(y=[1.0] * 120), "y is 1 in all rows; give numbers that differ"),
        (dict(y=[1.0, 2.0]), "y has 2 entries for 120 rows"),
        (dict(y="120"), "y .* give real numbers"),
        (dict(y=[float("nan")] * 120), "y holds NaN"),
        (dict(groups=[0] * 120), "1 groups are too few .* 15 or more"),
        (dict(groups=[1.5] * 120), r"groups\[0\] 1.5 is of type float"),
        (dict(groups=[1]), "groups has 1 entries for 120 rows"),
        (dict(lam=-1), "lambda -1 is not possible; use 0"),
        (dict(lam="much"), "lam 'much' is of type str"),
        (dict(method="pca"), "method 'pca' fits no numbers; use one of ridge, rfm"),
        (dict(method=3), "method 3 is of type int"),
        (dict(method="rfm", lam=1), "lam 1 belongs to method ridge; omit it"),
        (dict(rows=np.zeros((3, 4))), r"rows have shape \[3, 4\]"),
        (dict(rows="rows"), "rows 'rows' is of type str"),
        (dict(rows=np.full((120, 2, 3), np.inf)), "rows hold NaN or infinite values"),
    ],
)
def test_impossible_arguments_are_refused(change, message):
    rows, bpm, groups, _ = tempi()
    with pytest.raises(TonearmError, match=message):
        fit_regression(**(dict(rows=rows, y=bpm, groups=groups) | change))
