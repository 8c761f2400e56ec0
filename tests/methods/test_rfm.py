"""RFM: linear and even concepts, numbers, axes, lengths and limits."""

import logging
from functools import cache

import numpy as np
import pytest
import torch

from tests.methods.planted import CONCEPT, LAYERS, cosine, planted
from tonearm.errors import TonearmError
from tonearm.methods import Fit, fit_regression, method_named, require_direction, rfm
from tonearm.methods.kernel_machine import Setting
from tonearm.methods.layer_weights import layer_weights, with_layer_weights
from tonearm.methods.rfm_search import AXES, CHOICES, Choice, RFMSolver, drawn

RFM = method_named("rfm")


@cache
def fit_to_linear() -> Fit:
    """Fit to planted(60, 60, gap=3)."""
    return RFM.fit(planted(60, 60, gap=3).activations)


def even(n=200, size=3.0, seed=0):
    """Positive rows lie on both sides of the negative ones, along the concept's axis."""
    truth = planted(n // 2, n // 2, gap=0, rows_per_group=1, seed=seed)
    labels = truth.labels.numpy()
    sides = size * labels * (-1.0) ** np.cumsum(labels)
    truth.rows[:, CONCEPT] += torch.tensor(sides[:, None] * truth.concept, dtype=torch.float32)
    return truth


def test_an_even_concept_has_an_axis_and_no_sign():
    truth = even()
    fit = RFM.fit(truth.activations)
    assert abs(cosine(fit.extra["axes"][CONCEPT, 0], truth.concept)) > 0.9
    assert fit.scores["predictor_auc"][CONCEPT] > 0.9 > 0.65 > fit.scores["auc"][CONCEPT]
    assert fit.statistics["best_predictor_auc"] > 0.9
    assert fit.statistics["axis_p_value"] == pytest.approx(1 / 201)
    assert fit.has_axis_only and not fit.has_direction
    with pytest.raises(
        TonearmError,
        match=r"method rfm finds an axis without a sign: .*\(p = 0.005\).*held-out auc 0\.\d\d .*"
        "no strength steers towards one side; give sets that are opposites",
    ):
        require_direction(fit, "rfm")
    diffmean = method_named("diffmean").fit(truth.activations)
    assert abs(cosine(diffmean.directions[CONCEPT], truth.concept)) < 0.5
    assert not diffmean.has_axis_only


def test_a_linear_concept_has_an_axis_with_its_sign():
    fit = RFM.fit(planted(60, 60, gap=4).activations)
    assert fit.has_direction and not fit.has_axis_only
    assert fit.scores["predictor_auc"][CONCEPT] > 0.95


def test_noise_has_neither():
    fit = RFM.fit(planted(60, 60, gap=0, seed=3).activations)
    assert not fit.has_direction and not fit.has_axis_only


def test_the_axes_are_orthonormal_and_the_first_is_the_direction():
    fit = fit_to_linear()
    axes, shares = fit.extra["axes"], fit.extra["axis_shares"]
    assert axes.shape == (LAYERS, AXES, 24) and shares.shape == (LAYERS, AXES)
    for layer in range(LAYERS):
        assert torch.allclose(axes[layer] @ axes[layer].T, torch.eye(AXES), atol=1e-5)
        assert cosine(axes[layer, 0], fit.directions[layer]) > 1 - 1e-5
    assert (shares.diff(dim=1) <= 0).all() and (shares.sum(1) <= 1 + 1e-9).all()


def test_fewer_dimensions_than_axes_leave_axes_of_zeros():
    truth = planted(30, 30, gap=5, width=3)
    fit = RFM.fit(truth.activations)
    assert cosine(fit.directions[CONCEPT], truth.concept) > 0.9
    assert fit.extra["axes"].shape == (LAYERS, AXES, 3) and not fit.extra["axes"][:, 3].any()


def test_the_search_is_chosen_by_validation_and_shown_in_the_scores():
    fit = fit_to_linear()
    tried = {(one.setting.bandwidth, one.setting.ridge, one.iteration) for one in CHOICES}
    assert len(tried) == len(CHOICES) == 80
    names = ("bandwidth", "ridge", "iteration")
    for layer in range(LAYERS):
        assert tuple(float(fit.scores[name][layer]) for name in names) in tried
    again = RFM.fit(planted(60, 60, gap=3).activations)
    assert torch.equal(fit.directions, again.directions) and fit.statistics == again.statistics


def test_a_machine_of_a_choice_gives_the_direction_of_the_fit():
    truth, fit = planted(60, 60, gap=3), fit_to_linear()
    (choice,) = [
        one
        for one in CHOICES
        if (one.setting.bandwidth, one.setting.ridge, one.iteration)
        == tuple(float(fit.scores[name][CONCEPT]) for name in ("bandwidth", "ridge", "iteration"))
    ]
    targets = np.where(truth.labels.numpy() == 1, 1.0, -1.0)
    rows = truth.rows[:, CONCEPT].double().numpy()
    solved = RFMSolver(choice).solve(rows, targets[:, None]).directions[0, 0]
    assert cosine(solved, fit.directions[CONCEPT]) > 1 - 1e-6
    negated = RFMSolver(choice).solve(rows, -targets[:, None]).directions[0, 0]
    assert cosine(solved, -negated) > 1 - 1e-6


def test_the_mean_gradient_is_kept():
    """Without it this machine's leading axis has a cosine of 0.1 with the concept."""
    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(200, 24)), np.where(np.arange(200) % 2, 1.0, -1.0)
    rows[:, 1] *= 2
    rows[:, 0] += targets
    solver = RFMSolver(Choice(Setting(4.0, 1e-3), 0))
    assert cosine(solver.solve(rows, targets[:, None]).directions[0, 0], np.eye(24)[0]) > 0.95


def numbers(shape, n=150, seed=0):
    """Rows that move along an axis of layer 1 with `shape` of a number; their numbers."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    rows = rng.normal(size=(n, 2, 10))
    rows[:, 1, 4] = 3 * shape(y) + 0.3 * rng.normal(size=n)
    return torch.tensor(rows, dtype=torch.float32), y, np.arange(n)


def test_numbers_have_a_direction_with_their_sign_and_the_length_of_a_standard_deviation():
    rows, y, groups = numbers(lambda y: -y)
    fit = fit_regression(rows, y, groups, method="rfm")
    assert cosine(fit.directions[1], -np.eye(10)[4]) > 0.95
    assert float(fit.directions[1].norm()) == pytest.approx(3, rel=0.1)
    assert fit.has_direction and fit.best_layer == 1
    assert fit.scores["correlation"][1] > 0.9 and fit.scores["predictor_correlation"][1] > 0.8
    assert "d_prime" not in fit.scores and "accuracy" not in fit.scores


def test_an_even_number_has_an_axis_alone():
    rng = np.random.default_rng(0)
    rows, _, groups = numbers(lambda y: y)
    y = np.abs(rows[:, 1, 4].numpy()) + 0.1 * rng.normal(size=len(rows))
    fit = fit_regression(rows, y, groups, method="rfm")
    assert fit.has_axis_only and abs(cosine(fit.extra["axes"][1, 0], np.eye(10)[4])) > 0.9


def test_more_rows_than_the_limit_are_a_drawn_part_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(rfm, "MAX_ROWS", 100)
    truth = planted(80, 200, gap=4)
    with caplog.at_level(logging.WARNING):
        fit = RFM.fit(truth.activations)
    assert [one.getMessage() for one in caplog.records] == [
        "method rfm is fitted to 100 of 280 rows, its limit"
    ]
    assert fit.statistics["rows"] == 100
    assert cosine(fit.directions[CONCEPT], truth.concept) > 0.85 and fit.has_direction
    assert "rows" not in RFM.fit(planted(30, 30).activations).statistics


def test_a_drawn_part_holds_labels_in_equal_numbers():
    strata = np.repeat([0, 1], [20, 300])
    part = drawn(strata, 100)
    assert len(set(part)) == 100 and np.bincount(strata[part]).tolist() == [20, 80]
    assert np.bincount(strata[drawn(strata, 30)]).tolist() == [15, 15]
    assert drawn(strata, 1000).tolist() == list(range(320))


def test_layer_weights_are_almost_linear_and_zero_for_the_worst_layer():
    weights = layer_weights(torch.tensor([0.5, 0.75, 1.0]))
    assert weights.tolist() == pytest.approx([0, 0.5 ** (1 / 0.95), 1])


def test_layer_weights_of_equal_scores_are_equal_and_finite():
    assert layer_weights(torch.tensor([0.9, 0.9])).tolist() == [1, 1]


def test_weighted_lengths_keep_their_sum():
    plain = fit_to_linear()
    weighted = method_named("rfm:weighted").fit(planted(60, 60, gap=3).activations)
    before, after = (fit.directions.norm(dim=-1) for fit in (plain, weighted))
    assert float(after.sum()) == pytest.approx(float(before.sum()), rel=1e-5)
    expected = layer_weights(plain.scores["validation_auc"])
    assert torch.allclose((after / after.sum()).double(), expected / expected.sum(), atol=1e-6)
    assert cosine(plain.directions[CONCEPT], weighted.directions[CONCEPT]) > 1 - 1e-6


def test_a_layer_without_a_direction_has_no_weight():
    truth = planted(30, 30, gap=3)
    truth.rows[:, 2] = 1.5
    fit = RFM.fit(truth.activations)
    weighted = with_layer_weights(fit, torch.tensor([0.5, 0.6, 0.9]))
    lengths = weighted.directions.norm(dim=-1)
    assert lengths[2] == 0 and lengths[1] == pytest.approx(float(fit.directions.norm(dim=-1).sum()))


def test_another_option_is_refused():
    with pytest.raises(TonearmError, match="method rfm has no option 'heavy'; use rfm or rfm:weig"):
        method_named("rfm:heavy")


def test_equal_rows_are_refused():
    truth = planted(20, 20)
    truth.rows[:] = 2
    with pytest.raises(TonearmError, match="all rows have the same activations"):
        RFM.fit(truth.activations)
