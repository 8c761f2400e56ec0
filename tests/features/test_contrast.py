"""Selection of features that separate two sets, and the vector that they make."""

import numpy as np
import pytest
import torch

from tests.features.planted import autoencoder_of
from tonearm.activations.clip_sources import clips_of_prompts
from tonearm.activations.frames import read_frames
from tonearm.errors import TonearmError
from tonearm.features.autoencoder import feature_values
from tonearm.features.contrast import RULES, FeatureSelection, contrast_features, selected
from tonearm.methods.evaluation import evaluate
from tonearm.methods.task import classes

FEATURES, MARKED, OPPOSITE = 60, (4, 9), (30,)


def planted(clips=40, seed=0, gap=4.0):
    """Values [n, F]: MARKED are larger in the first half of the clips, OPPOSITE in the other."""
    rng = np.random.default_rng(seed)
    rows = np.abs(rng.normal(size=(clips, FEATURES)))
    half = clips // 2
    rows[:half, MARKED] += gap
    rows[half:, OPPOSITE] += gap
    return rows, np.repeat([1, 0], half)


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_selects_the_planted_features(rule):
    rows, labels = planted()
    signs = selected(rows, labels[:, None] - 0.5, rule, 2)[0]
    assert set(MARKED) <= set(np.flatnonzero(signs > 0))
    assert set(OPPOSITE) <= set(np.flatnonzero(signs < 0))
    assert np.abs(signs).sum() <= 4
    exchanged = selected(rows, 0.5 - labels[:, None], rule, 2)[0]
    assert np.array_equal(exchanged, -signs)


def test_the_score_of_tada_favours_features_that_the_other_set_lacks():
    """mean+ log(1 + 1 / (mean- + 1e-6)), computed here by hand."""
    rows = np.array([[3.0, 2.0, 0.0], [3.0, 2.0, 0.0], [2.0, 0.0, 1.0], [2.0, 0.0, 1.0]])
    labels = np.array([[1], [1], [-1], [-1]])
    scores = np.array([3 * np.log(1 + 1 / 2), 2 * np.log(1 + 1e6), 0])
    assert scores.argmax() == 1
    assert selected(rows, labels, "tada", 1)[0].tolist() == [0, 1, -1]
    assert selected(rows, labels, "difference", 1)[0].tolist() == [0, 1, -1]
    assert selected(rows, labels, "difference", 2)[0].tolist() == [1, 1, -1]


def test_a_feature_that_is_best_on_both_sides_cancels():
    rows = np.array([[5.0, 0.1], [5.0, 0.1], [4.0, 0.0], [4.0, 0.0]])
    labels = np.array([[1], [1], [-1], [-1]])
    assert selected(rows, labels, "tada", 2)[0].tolist() == [0, 1]


def test_cohens_d_prefers_the_reliable_difference():
    rng = np.random.default_rng(0)
    rows = np.abs(rng.normal(size=(60, 2))) * [10, 0.1]
    rows[:30] += [4, 0.5]
    labels = np.repeat([1, -1], 30)[:, None]
    assert selected(rows, labels, "difference", 1)[0].tolist() == [1, 0]
    assert selected(rows, labels, "cohen", 1)[0].tolist() == [0, 1]


def test_several_targets_are_selected_for_at_once():
    rows, labels = planted()
    targets = np.column_stack([labels - 0.5, np.roll(labels, 7) - 0.5])
    together = selected(rows, targets, "tada", 3)
    for index in range(2):
        alone = selected(rows, targets[:, index : index + 1], "tada", 3)[0]
        assert np.array_equal(together[index], alone)


@pytest.mark.parametrize(("gap", "is_found"), [(4.0, True), (0.0, False)])
def test_the_held_out_score_is_beyond_chance_only_for_a_difference(gap, is_found):
    rows, labels = planted(gap=gap, seed=1)
    found = evaluate(
        torch.from_numpy(rows)[:, None], classes(labels), np.arange(40),
        FeatureSelection("tada", 5),
    )  # fmt: skip
    assert (found.p_value <= 0.05) == is_found
    assert (found.best > 0.95) == is_found


SIDES = (
    ["fast folk tune", "quick jazz piece", "loud bright piano tune"],
    ["slow folk tune", "calm jazz piece", "soft dark piano tune"],
)


@pytest.fixture
def sides(melody, tmp_path):
    return [
        clips_of_prompts(melody.engine, prompts, tmp_path / str(number), takes=8, seconds=0.4)
        for number, prompts in enumerate(SIDES)
    ]


def test_the_vector_moves_the_mean_projection_of_one_set_onto_the_other(melody, sides):
    trained = autoencoder_of(melody.shape, length=6.0)
    found = contrast_features(
        melody, trained, *sides, "tempo", count=5, rule="difference",
        positive_label="fast", negative_label="slow",
    )  # fmt: skip
    vector = found.vector
    assert vector.layers == (1,) and vector.info.best_layer == 1
    means = [
        read_frames(melody.engine, clips, "residual", (1,)).rows[1].double().mean(0)
        for clips in sides
    ]
    r = vector[1].double() / vector[1].double().norm()
    assert float(vector[1].norm()) == pytest.approx(float(r @ (means[0] - means[1])), rel=1e-4)
    assert vector.info.positive_projections[1] == pytest.approx(float(r @ means[0]), rel=1e-3)
    total = sum(trained.weights.decoder[f] for f in found.positive) - sum(
        trained.weights.decoder[f] for f in found.negative
    )
    assert torch.allclose(r.float(), total / total.norm(), atol=1e-5)
    assert 1 <= len(found.positive) <= 5 and 1 <= len(found.negative) <= 5
    info = vector.info
    assert (info.method, info.positive_label, info.positive_count) == ("sae-difference", "fast", 8)
    assert not info.statistics  # three tracks a side are too few for a test


def test_the_selection_is_of_the_maximum_over_frames_without_a_threshold(melody, sides):
    trained = autoencoder_of(melody.shape, length=6.0)
    found = contrast_features(melody, trained, *sides, "tempo", count=3)
    rows, labels = [], []
    for clips, label in zip(sides, (1, -1), strict=True):
        read = read_frames(melody.engine, clips, "residual", (1,))
        values = feature_values(trained.weights, read.rows[1])
        rows += [values[read.clips == index].amax(0).double().numpy() for index in range(8)]
        labels += [label] * 8
    signs = selected(np.array(rows), np.array(labels)[:, None], "tada", 3)[0]
    assert found.positive == tuple(np.flatnonzero(signs > 0))
    assert found.negative == tuple(np.flatnonzero(signs < 0))


def test_a_selection_no_better_than_chance_is_refused(melody, tmp_path):
    """Eight prompts a side, and every word as often on either of them."""
    pairs = [
        (f"{one} {two}", (i + j) % 2)
        for i, one in enumerate(("bright", "dark", "loud", "soft"))
        for j, two in enumerate(("folk", "jazz", "flute", "piano"))
    ]
    sides = [
        clips_of_prompts(
            melody.engine,
            [prompt for prompt, of in pairs if of == side],
            tmp_path / str(side),
            seconds=0.4,
            seed=100 * side,
        )
        for side in (0, 1)
    ]
    with pytest.raises(TonearmError, match=r"no better than chance: held-out auc .* p = "):
        contrast_features(
            melody, autoencoder_of(melody.shape, length=6.0), *sides, "nothing", count=3
        )


def test_a_track_in_both_sets_is_refused(melody, sides):
    with pytest.raises(TonearmError, match="is in both sets"):
        contrast_features(melody, autoencoder_of(melody.shape), sides[0], sides[0], "x")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "best"}, "rule 'best' is not known; use one of tada, difference, cohen"),
        ({"count": 0}, "0 features a side are not possible; use 1 to 48"),
        ({"count": 49}, "49 features a side"),
    ],
)
def test_impossible_selections_are_refused(melody, sides, settings, message):
    with pytest.raises(TonearmError, match=message):
        contrast_features(melody, autoencoder_of(melody.shape), *sides, "x", **settings)


def test_features_against_the_difference_of_the_sets_are_refused(melody, sides):
    """The columns are turned, so that the selected features write the opposite of what they read."""
    trained = autoencoder_of(melody.shape, length=6.0)
    trained.weights.decoder.mul_(-1)
    with pytest.raises(TonearmError, match="point against the difference"):
        contrast_features(melody, trained, *sides, "tempo", count=5, rule="difference")
