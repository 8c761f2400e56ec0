"""Registry of methods, and the activations that a method receives."""

import pytest
import torch

from tonearm.errors import TonearmError
from tonearm.methods import Fit, base, method_named, methods, register
from tonearm.methods import learn as learn_module
from tonearm.methods.diffmean import DiffMean
from tonearm.methods.learn import learn

FAST = ["a fast folk tune", "fast jazz piece", "quick bright piano"]
SLOW = ["a slow folk tune", "slow jazz piece"]


@pytest.fixture
def registry(monkeypatch):
    """A registry of this test's own."""
    monkeypatch.setattr(base, "_METHODS", dict(base._METHODS))


class FirstRows:
    """Direction between the first rows of the two sets."""

    name = "first-rows"
    needs = "rows"

    def __init__(self):
        self.activations = None

    def fit(self, activations):
        self.activations = activations
        first = [activations.rows[activations.labels == label][0] for label in (1, 0)]
        scores = {"constant": torch.ones(len(first[0]))}
        return Fit(first[0] - first[1], best_layer=2, scores=scores)


class MeanDirections:
    """DiffMean that keeps its activations."""

    name = "means"
    needs = "moments"

    def __init__(self):
        self.activations = None

    def fit(self, activations):
        self.activations = activations
        return DiffMean().fit(activations)


def test_diffmean_is_registered():
    assert "diffmean" in methods() and isinstance(method_named("diffmean"), DiffMean)


def test_an_unknown_method_is_refused_with_the_known_ones(registry):
    register(FirstRows())
    with pytest.raises(TonearmError, match=r"method 'magic' is not known; use one of .*first-rows"):
        method_named("magic")


def test_two_methods_of_one_name_are_refused(registry):
    register(FirstRows())
    with pytest.raises(ValueError, match="'first-rows' is registered already"):
        register(FirstRows())


def test_a_method_that_needs_rows_receives_them_with_labels_and_groups(melody, registry):
    method = register(FirstRows())
    vector = learn(melody, FAST, SLOW, "x", method="first-rows", pooling="frames", seconds=3.0)
    activations = method.activations
    assert activations.rows.shape == (len(activations.labels), 3, melody.shape.width)
    # 75 frames and the delay: positions 0, 25, 50 and 75 of each prompt
    assert activations.groups.bincount().tolist() == [4] * 5
    for group in range(5):
        labels = activations.labels[activations.groups == group]
        assert labels.tolist() == [int(group < len(FAST))] * 4
    assert activations.positive.count == 12 and activations.negative.count == 8
    for label, moments in ((1, activations.positive), (0, activations.negative)):
        rows = activations.rows[activations.labels == label].double()
        torch.testing.assert_close(moments.mean, rows.mean(0))
        torch.testing.assert_close(moments.variance, rows.var(0, unbiased=False))
    assert (vector.info.method, vector.info.best_layer) == ("first-rows", 2)
    assert vector.info.scores["constant"] == {0: 1.0, 1: 1.0, 2: 1.0}
    first = [activations.rows[activations.labels == label][0] for label in (1, 0)]
    assert all(torch.equal(vector[layer], (first[0] - first[1])[layer]) for layer in range(3))


def test_a_method_that_needs_moments_receives_rows_that_it_may_not_hold_out(melody, registry):
    method = register(MeanDirections())
    vector = learn(melody, FAST, SLOW, "x", method="means")
    activations = method.activations
    assert not activations.hold_out and len(activations.rows) == 5
    assert (activations.positive.count, activations.negative.count) == (3, 2)
    expected = learn(melody, FAST, SLOW, "x")
    assert vector.content_hash() == expected.content_hash()


def test_rows_that_a_method_does_not_need_are_dropped_when_they_are_too_large(
    melody, registry, monkeypatch, caplog
):
    method = register(MeanDirections())
    row = 4 * melody.shape.layer_count * melody.shape.width
    monkeypatch.setattr(learn_module, "MAX_KEPT_BYTES", 4 * row)
    vector = learn(melody, FAST, SLOW, "x", method="means")
    assert method.activations.rows is method.activations.labels is method.activations.groups is None
    (record,) = caplog.records
    assert record.getMessage().startswith("the vector has no scores of consistency, since its rows")
    assert set(vector.info.scores) == {"separation"}
    first = register(FirstRows())
    learn(melody, FAST, SLOW, "x", method="first-rows")
    assert len(first.activations.rows) == 5
