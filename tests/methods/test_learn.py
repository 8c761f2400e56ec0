"""learn: a vector with provenance from two prompt sets."""

import pytest
import torch

from tests.methods.planted import assert_projections
from tonearm import __version__
from tonearm.activations import CaptureSpec, capture_rows
from tonearm.datasets.prompts import neutral
from tonearm.errors import TonearmError
from tonearm.hashing import hash_texts
from tonearm.methods.consistency import mean_cosine
from tonearm.methods.learn import learn
from tonearm.steering import load_vector, save_vector

FAST = ["a fast folk tune", "fast jazz piece", "quick bright piano"]
SLOW = ["a slow folk tune", "slow jazz piece", "calm dark piano"]


def rows_of(model, prompts, spec):
    return torch.cat([captured.rows for captured in capture_rows(model.engine, prompts, spec)])


@pytest.mark.parametrize(
    ("variant", "site", "pooling"),
    [("melody", "residual", None), ("small", "heads", "first"), ("small", "attention", None)],
)
def test_a_vector_is_the_difference_of_means_with_its_provenance(
    model_of, variant, site, pooling, tmp_path
):
    model, reports = model_of(variant), []
    vector = learn(
        model,
        FAST,
        SLOW,
        "tempo",
        site=site,
        pooling=pooling,
        positive_label="fast",
        negative_label="slow",
        batch_size=2,
        seconds=0.3,
        seed=5,
        progress=lambda *report: reports.append(report),
    )
    spec = CaptureSpec(site, pooling, 2, 0.3, 5)
    above, below = (rows_of(model, side, spec).double() for side in (FAST, SLOW))
    for layer in range(model.shape.layer_count):
        assert torch.allclose(
            vector[layer], (above.mean(0) - below.mean(0))[layer].float(), atol=1e-5
        )
        norm = float(torch.cat([above, below]).norm(dim=-1).mean(0)[layer])
        assert vector.info.activation_norms[layer] == pytest.approx(norm, abs=1e-5)
    assert_projections(vector, above, below)
    info = vector.info
    assert (info.name, info.site, info.method, info.seed) == ("tempo", site, "diffmean", 5)
    assert info.pooling == (pooling or model.shape.default_pooling)
    assert (info.checkpoint, info.fingerprint) == (model.shape.public_name, model.shape.fingerprint)
    assert (info.positive_label, info.negative_label, info.positive_count, info.negative_count) == (
        "fast",
        "slow",
        3,
        3,
    )
    assert info.data_hash == hash_texts(FAST, SLOW) and info.library_version == __version__
    scores = info.scores["separation"]
    assert info.best_layer == max(scores, key=scores.__getitem__)
    assert reports[-1] == (6, 6) and [done for done, _ in reports] == [2, 3, 5, 6]
    assert "tempo" not in model.vectors
    assert load_vector(save_vector(vector, tmp_path / "tempo")).info == info


def test_a_learned_vector_moves_activations_from_one_set_to_the_other(melody):
    """Strength 1 moves the mean of the negative set onto that of the positive one."""
    vector = learn(melody, FAST, SLOW, "gap")
    below = rows_of(melody, SLOW, CaptureSpec()).mean(0)
    above = rows_of(melody, FAST, CaptureSpec()).mean(0)
    best = vector.info.best_layer
    assert torch.allclose(below[best] + vector[best], above[best], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(positive=FAST, negative=FAST), "same prompts"),
        (dict(positive=FAST, negative=FAST[::-1]), "same prompts"),
        (dict(positive="a fast tune"), "positive .* give a list of prompts"),
        (dict(negative="a slow tune"), "negative .* give a list of prompts"),
        (dict(positive=[]), "positive is empty"),
        (dict(negative=[]), "negative is empty"),
        (dict(name="  "), "name is empty"),
        (dict(method="magic"), "use one of diffmean"),
        (dict(method="ridge:-1"), "lambda -1 is not possible"),
        (dict(method="lda"), "method lda .* needs 6 or more on each side"),
        (dict(site="cross_attention"), "no site"),
        (dict(method="smitin", site="residual"), "smitin reads site heads, not 'residual'"),
        (dict(method="iti:0"), "takes a number of heads"),
        (dict(pooling="middle"), "pooling 'middle'"),
        (dict(method=""), "method '' is not known"),
        (dict(negative_label=3), "negative_label 3 is of type int"),
        (dict(paired=1), "paired 1 is of type int; give True or False"),
        (dict(paired=True, negative=SLOW[:2]), "there are 3 positive and 2 negative prompts"),
        (dict(paired=True, negative=None), "paired needs a negative set"),
        (
            dict(paired=True, positive=[*FAST, FAST[0]], negative=[*SLOW, SLOW[0]]),
            "pair 'a fast folk tune' and 'a slow folk tune' is given twice",
        ),
        (dict(paired=True, pooling="frames"), "paired needs one row for each prompt"),
        (dict(batch_size=0), "batch size"),
        (dict(pooling="mean", seconds=float("inf")), "inf s"),
    ],
)
def test_impossible_arguments_are_refused_and_leave_the_library_unchanged(melody, change, message):
    arguments = dict(positive=FAST, negative=SLOW, name="never") | change
    with pytest.raises(TonearmError, match=message):
        learn(melody, **arguments)
    assert "never" not in melody.vectors


def test_sets_of_one_prompt_have_a_direction_and_separation_0(melody):
    vector = learn(melody, ["a fast folk tune"], ["slow jazz piece"], "thin")
    assert set(vector.info.scores["separation"].values()) == {0.0}
    norms = vector.norms()
    assert vector.info.best_layer == max(norms, key=norms.__getitem__)


def test_an_empty_prompt_in_either_set_is_refused(melody):
    for sides in ((["calm", " "], ["loud"]), (["calm"], ["loud", ""])):
        with pytest.raises(TonearmError, match="a prompt is empty"):
            learn(melody, *sides, "x")


def test_learning_does_not_change_the_model(melody):
    before = dict(melody.vectors)
    learn(melody, FAST, SLOW, "tempo")
    assert dict(melody.vectors) == before


NOUNS = ("piano", "guitar", "flute", "cello", "drums", "organ", "choir", "harp")


@pytest.mark.parametrize("method", ["lda", "mse-probe", "ridge:0.10", "bce-probe", "pca", "rfm"])
def test_a_probe_has_its_scores_and_its_test_in_the_vector(melody, method, tmp_path):
    above, below = ([f"{word} {noun}" for noun in NOUNS] for word in ("fast", "slow"))
    vector = learn(melody, above, below, "tempo", method=method)
    info = vector.info
    assert info.method == method.removesuffix("0") and set(vector.layers) == {0, 1, 2}
    assert {"auc", "accuracy", "validation_auc", "split_half_cosine"} < set(info.scores)
    assert info.statistics["p_value"] <= 0.05 and info.statistics["best_auc"] > 0.9
    diffmean = learn(melody, above, below, "tempo")
    assert all(vector.cosine(diffmean, layer) > 0.1 for layer in vector.layers)
    assert load_vector(save_vector(vector, tmp_path / "v")).info == info


@pytest.mark.parametrize(
    ("variant", "method", "pooling", "is_music"),
    [
        ("melody", "smitin", "mean", True),
        ("melody", "iti:2", None, False),
        ("small", "iti", "last", True),
        ("small", "smitin", "first", False),
    ],
)
def test_heads_are_read_at_their_site_and_the_vector_holds_their_scores_and_a_monitor_of_music(
    model_of, variant, method, pooling, is_music, tmp_path
):
    model = model_of(variant)
    above, below = ([f"{word} {noun}" for noun in NOUNS] for word in ("fast", "slow"))
    vector = learn(model, above, below, "t", method=method, pooling=pooling, seconds=0.3)
    info, shape = vector.info, model.shape
    assert (info.site, info.method, info.best_layer) == ("heads", method, None)
    for scores in info.head_scores.values():
        assert {len(of_layer) for of_layer in scores.values()} == {shape.heads}
        assert len(scores) == shape.layer_count
    size = shape.width // shape.heads
    for layer, weights in info.head_scores["weight"].items():
        norms = vector[layer].view(shape.heads, size).norm(dim=-1)
        assert ((norms > 0) <= (torch.tensor(weights) > 0)).all()
    assert (vector.monitor is not None) == is_music
    again = load_vector(save_vector(vector, tmp_path / "v"))
    assert again.info == info and again.content_hash() == vector.content_hash()
    if is_music:
        assert vector.monitor.weights.shape[1] == size


def test_prompt_sets_that_differ_by_chance_are_refused(melody):
    prompts = [f"{word} {noun}" for noun in NOUNS for word in ("fast", "slow")]
    mixed = [*prompts[0::4], *prompts[3::4]], [*prompts[1::4], *prompts[2::4]]
    with pytest.raises(TonearmError, match=r"method lda finds no direction: held-out auc 0\.\d\d"):
        learn(melody, *mixed, "nothing", method="lda")


def test_without_a_negative_set_the_background_is_the_neutral_prompts(melody, tmp_path):
    flutes = [f"flute {noun}" for noun in NOUNS]
    vector = learn(melody, flutes, None, "flute")
    info = vector.info
    assert (info.method, info.negative_label, info.negative_count) == (
        "mean-centred",
        "background",
        50,
    )
    assert info.data_hash == hash_texts(flutes, neutral())
    same = learn(melody, flutes, neutral(), "flute")
    assert same.content_hash() == vector.content_hash()
    assert (same.info.method, same.info.negative_label) == ("diffmean", "less")
    named = learn(melody, flutes, None, "flute", method="lda", negative_label="any music")
    assert (named.info.method, named.info.negative_label) == ("lda", "any music")
    assert load_vector(save_vector(vector, tmp_path / "flute")).info == info


def test_prompts_have_scores_of_consistency_and_the_best_layer_of_the_separation(melody):
    above, below = ([f"{word} {noun}" for noun in NOUNS] for word in ("fast", "slow"))
    info = learn(melody, above, below, "tempo").info
    assert set(info.scores) == {"separation", "split_half_cosine", "d_prime"}
    assert not info.statistics
    separation = info.scores["separation"]
    assert info.best_layer == max(separation, key=separation.__getitem__)
    paired = learn(melody, above, below, "tempo", paired=True).info
    assert set(paired.scores) == {"separation", "split_half_cosine", "d_prime", "pair_cosine"}
    rows = [rows_of(melody, side, CaptureSpec()).double().numpy() for side in (above, below)]
    for layer in range(melody.shape.layer_count):
        expected = mean_cosine(rows[0][:, layer] - rows[1][:, layer])
        assert paired.scores["pair_cosine"][layer] == pytest.approx(expected, abs=1e-5)
    mixed = learn(melody, above, below[1:] + below[:1], "tempo", paired=True).info
    best = info.best_layer
    assert mixed.scores["pair_cosine"][best] < paired.scores["pair_cosine"][best]


def test_pairs_give_pca_their_differences(melody):
    above, below = ([f"{word} {noun}" for noun in NOUNS] for word in ("fast", "slow"))
    vector = learn(melody, above, below, "tempo", method="pca", paired=True)
    rows = [rows_of(melody, side, CaptureSpec()).double() for side in (above, below)]
    for layer in vector.layers:
        leading = torch.linalg.svd((rows[0] - rows[1])[:, layer], full_matrices=False).Vh[0]
        cosine = torch.cosine_similarity(vector[layer].double(), leading, dim=0)
        assert abs(float(cosine)) > 1 - 1e-5


def test_takes_of_one_prompt_are_one_group(melody):
    """None is held out while another one of the same text is learned from."""
    with pytest.raises(TonearmError, match="needs 6 or more on each side, of which those of one"):
        learn(melody, ["fast piano"] * 8, ["slow piano"] * 8, "tempo", method="lda")
