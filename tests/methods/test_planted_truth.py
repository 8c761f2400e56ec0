"""Every method finds a planted direction, and no direction where there is none."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from tests.methods.planted import CONCEPT, LAYERS, cosine, planted, shuffled
from tonearm.errors import TonearmError
from tonearm.methods import Fit, method_named, methods, require_direction
from tonearm.methods.splits import MIN_GROUPS

METHODS = (
    *("diffmean", "mean-centred", "lda", "mse-probe", "ridge", "ridge:0.1"),
    *("bce-probe", "bce-probe:1", "pca", "rfm"),
)
TESTED_ELSEWHERE = ("iti", "smitin")  # methods of activations of another form: test_heads.py


# Enough for the invariances of a fit, whose two sides are compared with each other.
FEW = dict(positive=60, negative=60)


@pytest.fixture(params=METHODS)
def method(request):
    return method_named(request.param)


@cache
def fit_to_few(name: str) -> Fit:
    """Fit of a method to the rows of FEW."""
    return method_named(name).fit(planted(**FEW).activations)


def test_every_registered_method_is_tested():
    assert {name.partition(":")[0] for name in METHODS} == set(methods()) - set(TESTED_ELSEWHERE)


def test_the_planted_direction_and_its_layer_are_found(method):
    truth = planted(300, 300, gap=4)
    fit = method.fit(truth.activations)
    assert fit.directions.shape == truth.rows.shape[1:] and fit.directions.dtype == torch.float32
    assert cosine(fit.directions[CONCEPT], truth.concept) > 0.95
    assert fit.best_layer == CONCEPT and fit.has_direction
    # AUC of a gap of 4 standard deviations: Φ(4 / √2) = 0.998; accuracy Φ(2) = 0.977
    assert fit.scores["auc"][CONCEPT] > 0.985 and fit.scores["accuracy"][CONCEPT] > 0.95
    others = [layer for layer in range(LAYERS) if layer != CONCEPT]
    assert fit.scores["auc"][others].max() < 0.65
    assert fit.scores["split_half_cosine"][CONCEPT] > 0.85
    assert fit.statistics["best_auc"] > 0.985 > fit.statistics["null_auc"] > 0.5
    assert fit.statistics["p_value"] == pytest.approx(1 / 201)
    require_direction(fit, method.name)


def test_the_length_is_the_distance_of_the_class_means_along_the_direction(method):
    truth, fit = planted(**FEW), fit_to_few(method.name)
    rows, positive = truth.rows.double(), truth.labels == 1
    delta = rows[positive].mean(0) - rows[~positive].mean(0)
    for layer in range(LAYERS):
        direction = fit.directions[layer].double()
        length = direction.norm()
        assert float(direction / length @ delta[layer]) == pytest.approx(float(length), rel=1e-5)


def test_a_nuisance_of_four_times_the_variance_does_not_win(method):
    truth = planted(nuisance_variance=4.0, gap=4)
    direction = method.fit(truth.activations).directions[CONCEPT]
    assert cosine(direction, truth.concept) > 0.93
    assert abs(cosine(direction, truth.nuisance)) < 0.2


def test_permuted_labels_have_no_direction(method):
    truth = planted(positive=120, negative=120)
    labels = shuffled(truth.labels, truth.groups)
    fit = method.fit(replace(truth, labels=labels).activations)
    assert not fit.has_direction
    with pytest.raises(
        TonearmError, match=r"finds no direction: held-out auc 0\.\d\d \(95 % of permutations"
    ):
        require_direction(fit, method.name)


def test_an_even_concept_has_no_direction(method):
    """The positive rows lie on both sides of the negative ones, along one axis."""
    truth = planted(100, 100, gap=0, rows_per_group=1)
    sides = 3.0 * truth.labels * (-1) ** truth.labels.cumsum(0)
    truth.rows[:, CONCEPT] += sides[:, None] * torch.from_numpy(truth.concept).float()
    fit = method.fit(truth.activations)
    assert not fit.has_direction
    with pytest.raises(TonearmError, match=r"finds (no direction|an axis without a sign)"):
        require_direction(fit, method.name)


@pytest.mark.parametrize("change", [lambda rows: 30 * rows, lambda rows: rows + 100.0])
def test_neither_scale_nor_a_constant_mean_changes_a_direction(method, change):
    truth, before = planted(**FEW), fit_to_few(method.name)
    after = method.fit(replace(truth, rows=change(truth.rows)).activations)
    for layer in range(LAYERS):
        assert cosine(before.directions[layer], after.directions[layer]) > 1 - 1e-4
    assert before.best_layer == after.best_layer
    assert torch.allclose(before.scores["auc"], after.scores["auc"], atol=0.01)


def test_swapped_labels_give_the_negated_direction(method):
    truth, found = planted(**FEW), fit_to_few(method.name)
    swapped = method.fit(replace(truth, labels=1 - truth.labels).activations)
    assert cosine(found.directions[CONCEPT], -swapped.directions[CONCEPT]) > 1 - 1e-6


def test_unequal_classes_give_the_direction_and_a_balanced_accuracy(method):
    truth = planted(positive=80, negative=500, gap=4)
    fit = method.fit(truth.activations)
    assert cosine(fit.directions[CONCEPT], truth.concept) > 0.93
    assert fit.scores["accuracy"][CONCEPT] > 0.95
    others = [layer for layer in range(LAYERS) if layer != CONCEPT]
    assert fit.scores["accuracy"][others].max() < 0.65  # not 500 / 580


def test_offsets_of_groups_do_not_leak_into_held_out_scores(method):
    """Each group has an offset that identifies it, and the rows have no concept."""
    truth = planted(positive=80, negative=80, gap=0, rows_per_group=10, offset=20)
    leaked = replace(truth, groups=torch.arange(len(truth.groups)))
    assert method.fit(leaked.activations).scores["auc"].max() > 0.65
    fit = method.fit(truth.activations)
    assert fit.scores["auc"].mean() < 0.65 and not fit.has_direction


def test_fewer_rows_than_width_give_a_direction(method):
    truth = planted(positive=30, negative=30, rows_per_group=1, width=200, gap=12)
    fit = method.fit(truth.activations)
    # least squares fits 60 rows exactly, and its direction holds noise of the other 140 dimensions
    assert cosine(fit.directions[CONCEPT], truth.concept) > 0.8
    assert fit.best_layer == CONCEPT and fit.has_direction


def test_the_best_layer_is_that_with_the_largest_gap_where_several_separate_perfectly(method):
    truth = planted(positive=40, negative=40, gap=0)
    signs = (2 * truth.labels - 1).float()[:, None]
    for layer, gap in enumerate((14, 30, 20)):
        truth.rows[:, layer] += gap / 2 * signs * torch.from_numpy(truth.concept).float()
    fit = method.fit(truth.activations)
    assert (fit.scores["auc"] == 1).all() and fit.best_layer == 1


def test_equal_activations_have_no_direction(method):
    rows = torch.ones(40, LAYERS, 5)
    same = replace(planted(20, 20), rows=rows)
    with pytest.raises(TonearmError, match="no direction"):
        method.fit(same.activations)


def test_a_layer_without_variance_has_no_direction_there(method):
    truth = planted(60, 60)
    truth.rows[:, 2] = 1.5
    fit = method.fit(truth.activations)
    assert not fit.directions[2].any() and fit.best_layer == CONCEPT
    assert fit.scores["auc"][2] == 0.5
    assert all(values.isfinite().all() for values in fit.scores.values())


@pytest.mark.parametrize("name", [one for one in METHODS if method_named(one).needs == "rows"])
def test_too_few_groups_are_refused(name):
    few = planted(positive=40, negative=2 * (MIN_GROUPS - 1))
    with pytest.raises(TonearmError, match="needs 6 or more on each side"):
        method_named(name).fit(few.activations)
