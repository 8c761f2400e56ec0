"""Methods that fit attention heads: planted heads, weights, held-out scores and the monitor."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from tests.methods.planted import cosine, shuffled
from tonearm.errors import TonearmError
from tonearm.methods import Activations, Fit, method_named, require_direction
from tonearm.methods.base import site_of
from tonearm.methods.head_probes import HeldOutHeads, feature_scale, fit_head
from tonearm.methods.head_rows import HeadRows
from tonearm.methods.heads import few_heads, monitor_of, smitin_weights, top_weights
from tonearm.methods.metrics import auc
from tonearm.methods.splits import MIN_GROUPS

LAYERS, HEADS, SIZE = 3, 4, 6
PLANTED = (1, 2)  # layer and head
METHODS = ("iti:1", "iti", "smitin")


@dataclass(frozen=True)
class PlantedHead:
    """Rows [n, LAYERS, HEADS * SIZE] with unit noise, whose class means differ along `concept` in
    the head PLANTED alone.
    """

    rows: torch.Tensor
    labels: torch.Tensor
    groups: torch.Tensor
    concept: np.ndarray

    @property
    def activations(self) -> Activations:
        return Activations.from_rows(self.rows, self.labels, self.groups, heads=HEADS)

    def outputs(self, layer: int, head: int) -> np.ndarray:
        """Outputs of a head, [n, SIZE]."""
        return self.rows[:, layer, head * SIZE : (head + 1) * SIZE].double().numpy()


def planted_head(positive=100, negative=100, gap=4.0, rows_per_group=2, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    n = positive + negative
    labels = (np.arange(n) < positive).astype(np.int64)
    sides = [np.arange(count) // rows_per_group for count in (positive, negative)]
    groups = np.concatenate([sides[0], sides[0].max() + 1 + sides[1]])
    concept = rng.normal(size=SIZE)
    concept /= np.linalg.norm(concept)
    rows = rng.normal(size=(n, LAYERS, HEADS, SIZE))
    rows += offset * rng.normal(size=(groups.max() + 1, 1, HEADS, SIZE))[groups]
    layer, head = PLANTED
    rows[:, layer, head] += gap * (labels - 0.5)[:, None] * concept
    mixed = rng.permutation(n)
    return PlantedHead(
        torch.tensor(rows[mixed], dtype=torch.float32).flatten(2),
        torch.from_numpy(labels[mixed]),
        torch.from_numpy(groups[mixed]),
        concept,
    )


def by_head(fit) -> np.ndarray:
    """Directions of the heads, [LAYERS, HEADS, SIZE]."""
    return fit.directions.double().numpy().reshape(LAYERS, HEADS, SIZE)


@pytest.fixture(params=METHODS)
def method(request):
    return method_named(request.param)


@cache
def fit_to_planted(name: str) -> Fit:
    """Fit of a method to planted_head()."""
    return method_named(name).fit(planted_head().activations)


def test_the_planted_head_is_ranked_first_of_all_heads(method):
    fit = fit_to_planted(method.name)
    for name in ("accuracy", "auc", "weight"):
        scores = fit.head_scores[name]
        assert scores.shape == (LAYERS, HEADS)
        assert np.unravel_index(int(scores.argmax()), scores.shape) == PLANTED
    assert fit.head_scores["weight"][PLANTED] == 1
    assert (int(fit.monitor.layers[0]), int(fit.monitor.heads[0])) == PLANTED
    # AUC of a gap of 4 standard deviations: Φ(4 / √2) = 0.998; accuracy Φ(2) = 0.977
    assert fit.scores["auc"][1] > 0.98 and fit.scores["accuracy"][1] > 0.94
    assert fit.scores["auc"][[0, 2]].max() < 0.7
    assert fit.statistics["best_auc"] > 0.98 > fit.statistics["null_auc"] > 0.5
    assert fit.statistics["best_accuracy"] > 0.94
    assert fit.statistics["p_value"] == pytest.approx(1 / 201)
    require_direction(fit, method.name)


def test_a_head_moves_by_its_weight_and_deviation_along_the_unit_difference_of_means(method):
    truth, fit = planted_head(), fit_to_planted(method.name)
    assert cosine(by_head(fit)[PLANTED], truth.concept) > 0.95
    weights, is_positive = fit.head_scores["weight"].numpy(), truth.labels.numpy() == 1
    for layer in range(LAYERS):
        for head in range(HEADS):
            outputs = truth.outputs(layer, head)
            theta = outputs[is_positive].mean(0) - outputs[~is_positive].mean(0)
            theta /= np.linalg.norm(theta)
            expected = weights[layer, head] * (outputs @ theta).std() * theta
            np.testing.assert_allclose(by_head(fit)[layer, head], expected, atol=1e-6)


def test_iti_takes_the_heads_of_its_option_and_by_default_one_in_eight_up_to_48():
    for name, count in (("iti:1", 1), ("iti:5", 5), ("iti:12", 12), ("iti", 1)):
        fit = fit_to_planted(name)
        assert (np.linalg.norm(by_head(fit), axis=-1) > 0).sum() == count
        assert fit.head_scores["weight"].sum() == count
    assert method_named("iti:05").name == "iti:5"
    assert [few_heads(48, total) for total in (6, 72, 384, 1536)] == [1, 9, 48, 48]
    assert [few_heads(16, total) for total in (6, 72, 384, 1536)] == [1, 9, 16, 16]


def test_the_weights_of_smitin_are_cubes_of_the_accuracy_above_the_worst():
    accuracy = np.array([[0.9, 0.7], [0.6, 0.5]])
    np.testing.assert_allclose(smitin_weights(accuracy), [[1, 1 / 8], [1 / 64, 0]])
    below_chance = np.array([[0.9, 0.7], [0.6, 0.3]])
    np.testing.assert_allclose(smitin_weights(below_chance), smitin_weights(accuracy))
    assert (smitin_weights(np.full((2, 2), 0.8)) == 1).all()
    assert (smitin_weights(np.array([[0.3, 0.5]])) == 1).all()


def test_heads_that_all_separate_perfectly_weigh_the_same():
    truth = planted_head(gap=0)
    signs = (2 * truth.labels - 1).float()[:, None, None]
    fit = method_named("smitin").fit(replace(truth, rows=truth.rows + 20 * signs).activations)
    assert (fit.head_scores["weight"] == 1).all() and fit.monitor.threshold == 1


def held_out(accuracy, area, agreement) -> HeldOutHeads:
    first, second, third = (np.array(one, dtype=float) for one in (accuracy, area, agreement))
    return HeldOutHeads(first, second, third, first, second, 0.5)


def test_equal_accuracies_are_ranked_by_auc_and_then_by_agreement():
    found = held_out([[0.9, 0.9], [0.9, 1.0]], [[0.8, 0.9], [0.9, 0.7]], [[1, 0.2], [0.3, 0]])
    assert found.ranking.tolist() == [3, 2, 1, 0]
    assert found.best_of_layers.tolist() == [1, 1]
    assert top_weights(found.ranking, 2).tolist() == [0, 0, 1, 1]


def test_permuted_labels_have_no_direction(method):
    truth = planted_head()
    labels = shuffled(truth.labels, truth.groups)
    fit = method.fit(replace(truth, labels=labels).activations)
    assert not fit.has_direction
    with pytest.raises(
        TonearmError, match=rf"{method.name} finds no direction: held-out auc 0\.\d"
    ):
        require_direction(fit, method.name)


def test_the_winner_among_many_chance_heads_is_reported_on_a_part_that_did_not_choose_it():
    rng = np.random.default_rng(5)
    layers, heads = 8, 8
    rows = torch.tensor(rng.normal(size=(40, layers, heads * SIZE)), dtype=torch.float32)
    labels = torch.arange(40) % 2
    activations = Activations.from_rows(rows, labels, torch.arange(40), heads=heads)
    fit = method_named("iti:1").fit(activations)
    # the mean of five folds of one head out of 64, and of other heads in each rotation
    assert fit.head_scores["accuracy"].max() > 0.65
    assert 0.3 < fit.statistics["best_accuracy"] < 0.65
    assert fit.statistics["null_auc"] > 0.65 and not fit.has_direction


@pytest.mark.parametrize("change", [lambda rows: 30 * rows, lambda rows: rows + 100.0])
def test_neither_scale_nor_a_constant_mean_changes_directions_and_weights(method, change):
    truth, before = planted_head(), fit_to_planted(method.name)
    after = method.fit(replace(truth, rows=change(truth.rows)).activations)
    assert cosine(by_head(before)[PLANTED], by_head(after)[PLANTED]) > 1 - 1e-4
    torch.testing.assert_close(
        before.head_scores["weight"], after.head_scores["weight"], atol=0.05, rtol=0
    )


def test_swapped_labels_negate_the_direction_and_the_monitor(method):
    truth, found = planted_head(), fit_to_planted(method.name)
    swapped = method.fit(replace(truth, labels=1 - truth.labels).activations)
    assert cosine(by_head(found)[PLANTED], -by_head(swapped)[PLANTED]) > 1 - 1e-6
    assert cosine(found.monitor.weights[0], -swapped.monitor.weights[0]) > 1 - 1e-4


def test_unequal_classes_give_a_balanced_accuracy():
    fit = method_named("smitin").fit(planted_head(positive=50, negative=500).activations)
    others = torch.ones(LAYERS, HEADS, dtype=bool)
    others[PLANTED] = False
    assert fit.head_scores["accuracy"][PLANTED] > 0.94
    assert fit.head_scores["accuracy"][others].max() < 0.65  # not 500 / 550


def test_offsets_of_groups_do_not_leak_into_held_out_scores():
    truth = planted_head(40, 40, gap=0, rows_per_group=10, offset=20)
    leaked = replace(truth, groups=torch.arange(len(truth.groups)))
    method = method_named("smitin")
    assert method.fit(leaked.activations).head_scores["auc"].mean() > 0.9
    few = method_named("diffmean").fit(truth.activations)
    assert "auc" not in few.scores  # 4 groups on each side
    truth = planted_head(80, 80, gap=0, rows_per_group=10, offset=20)
    fit = method.fit(truth.activations)
    assert fit.head_scores["auc"].mean() < 0.65 and not fit.has_direction


def test_too_few_groups_equal_means_and_other_sites_are_refused(method):
    few = planted_head(positive=40, negative=2 * (MIN_GROUPS - 1))
    with pytest.raises(TonearmError, match="needs 6 or more on each side"):
        method.fit(few.activations)
    truth = planted_head()
    same = replace(truth, rows=torch.ones_like(truth.rows))
    with pytest.raises(TonearmError, match="no direction"):
        method.fit(same.activations)
    with pytest.raises(TonearmError, match="site heads with their number of heads"):
        method.fit(replace(truth.activations, heads=None))
    with pytest.raises(TonearmError, match=r"reads site heads, not 'residual'; omit the site"):
        site_of(method, "residual")
    assert site_of(method, None) == site_of(method, "heads") == "heads"
    assert site_of(method_named("lda"), None) == "residual"
    assert site_of(method_named("lda"), "heads") == "heads"


@pytest.mark.parametrize("option", ["0", "-3", "2.5", "many", "", "9" * 7, "９"])
def test_a_number_of_heads_that_is_none_is_refused(option):
    with pytest.raises(TonearmError, match="takes a number of heads"):
        method_named(f"iti:{option}")


def test_more_heads_than_there_are_and_an_option_of_smitin_are_refused():
    with pytest.raises(TonearmError, match="more heads than there are: 12 in 3 layers; use iti:1"):
        method_named("iti:13").fit(planted_head().activations)
    with pytest.raises(TonearmError, match="smitin takes no option"):
        method_named("smitin:3")


def test_a_layer_without_variance_has_no_direction_there(method):
    truth = planted_head()
    truth.rows[:, 2] = 1.5
    fit = method.fit(truth.activations)
    assert not fit.directions[2].any() and fit.head_scores["weight"][PLANTED] == 1
    assert (fit.head_scores["auc"][2] == 0.5).all()
    assert fit.directions.isfinite().all()


@pytest.mark.parametrize("positive", [40, 100])
def test_a_probe_minimises_the_balanced_penalised_loss(positive):
    truth = planted_head(positive, 100, gap=1.5)
    rows, labels = truth.rows[:, 1].double().numpy(), truth.labels.numpy()
    scale, outputs = feature_scale(rows), 3 + truth.outputs(*PLANTED)
    signs = np.where(labels > 0, 1.0, -1.0)
    counts = np.where(labels > 0, labels.mean(), 1 - labels.mean())

    def loss(found):
        margins = signs * (outputs / scale @ found[1:] + found[0])
        return found[1:] @ found[1:] / 2 + (0.5 / counts * np.logaddexp(0, -margins)).sum()

    best = minimize(loss, np.zeros(SIZE + 1), tol=1e-12).x
    probe = fit_head(outputs, labels, scale)
    np.testing.assert_allclose(probe.weights * scale, best[1:], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(probe.bias, best[0], rtol=1e-3, atol=1e-3)


def test_the_monitor_reads_the_concept_in_rows_that_it_was_not_fitted_to():
    new = planted_head()
    rng = np.random.default_rng(9)
    noise = torch.tensor(rng.normal(size=new.rows.shape), dtype=torch.float32)
    rows = noise.view(-1, LAYERS, HEADS, SIZE)
    signs = (new.labels - 0.5).numpy()[:, None]
    rows[:, PLANTED[0], PLANTED[1]] += torch.from_numpy(4 * signs * new.concept).float()
    monitor = fit_to_planted("smitin").monitor
    assert len(monitor) == 1
    outputs = rows[:, monitor.layers, monitor.heads]  # [n, M, SIZE]
    found = monitor.probabilities(outputs).median(-1).values
    assert auc(found.numpy()[None], new.labels.numpy()[None])[0] > 0.98
    assert ((found > 0.5) == (new.labels == 1)).float().mean() > 0.94
    torch.testing.assert_close(
        (-monitor).probabilities(outputs), 1 - monitor.probabilities(outputs)
    )


def test_the_threshold_is_the_median_less_the_deviation_of_accuracies_that_did_not_choose():
    rng = np.random.default_rng(0)
    layers, heads = 8, 4
    rows = torch.tensor(rng.normal(size=(40, layers, heads * SIZE)), dtype=torch.float32)
    validated, tested = rng.random((2, layers, heads))
    found = HeldOutHeads(validated, validated, validated, tested, tested, 0.5)
    monitor = monitor_of(rows, heads, np.arange(40) % 2, found)
    chosen = np.argsort(-validated.ravel())[:4]  # of 32
    assert (monitor.layers * heads + monitor.heads).tolist() == chosen.tolist()
    accuracy = tested.ravel()[chosen]
    assert monitor.threshold == pytest.approx(max(0, np.median(accuracy) - np.std(accuracy)))


def test_heads_are_consecutive_parts_of_a_layer_which_is_read_once():
    class Counted:
        shape = (5, LAYERS, HEADS * SIZE)
        rows = torch.arange(5 * LAYERS * HEADS * SIZE).float().view(shape)
        reads = 0

        def __getitem__(self, place):
            Counted.reads += 1
            return self.rows[place]

    split = HeadRows(Counted(), HEADS)
    assert tuple(split.shape) == (5, LAYERS * HEADS, SIZE)
    for index in range(LAYERS * HEADS):
        layer, head = divmod(index, HEADS)
        expected = Counted.rows[:, layer, head * SIZE : (head + 1) * SIZE]
        assert torch.equal(split[:, index], expected)
    assert Counted.reads == LAYERS
