"""A feature as a steering vector, through the engine."""

import numpy as np
import pytest
import torch

from tests.features.planted import autoencoder_of
from tonearm.activations.clip_sources import clips_of_prompts
from tonearm.activations.frames import read_frames
from tonearm.activations.replacement import predictions_with
from tonearm.errors import TonearmError
from tonearm.features.autoencoder import decode, edit, encode, feature_values, reconstruct
from tonearm.features.vectors import feature_vector
from tonearm.generation.request import TakeRequest
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.engine import whole_positions
from tonearm.musicgen.steering_buffers import SteeringBuffers
from tonearm.steering import Steer, Steering, load_vector, save_vector
from tonearm.steering.reader import read_feature
from tonearm.steering.resolve import resolve

PROMPT = "a fast folk tune"
LAYER, FEATURE = 1, 7


@pytest.fixture
def trained(melody):
    return autoencoder_of(melody.shape, layer=LAYER, length=6.0)


@pytest.fixture
def vector(trained):
    return feature_vector(trained, FEATURE)


def test_the_vector_is_the_column_times_the_peak(trained, vector):
    assert vector.layers == (LAYER,)
    expected = trained.peaks[FEATURE] * trained.weights.decoder[FEATURE]
    assert torch.allclose(vector[LAYER], expected)
    assert float(vector[LAYER].norm()) == pytest.approx(float(trained.peaks[FEATURE]), rel=1e-5)
    info = vector.info
    assert (info.best_layer, info.site, info.method) == (LAYER, "residual", "sae")
    assert info.statistics["feature"] == FEATURE
    assert info.data_hash == trained.content_hash()[:16]
    assert info.positive_label == "feature 7"


def test_the_vector_is_saved_as_any_other(vector, tmp_path):
    loaded = load_vector(save_vector(vector, tmp_path / "v"))
    assert loaded.content_hash() == vector.content_hash()
    assert loaded.info == vector.info


def steered_rows(model, clips, vector, strength, layer, **settings):
    """Rows of a layer in a teacher-forced pass of steered activations."""
    steer = Steer(vector="f", strength=strength, strategy="one-to-one", **settings)
    plan = resolve(
        [Steering(steers=(steer,))], {"f": vector}, model.shape, clips.frames,
        model.checkpoint.device, live=True,
    )  # fmt: skip
    conditioning = condition(model.checkpoint, [PROMPT], guided=False)
    buffers = SteeringBuffers(plan, conditioning, 0, torch.float32, [0])
    buffers.seek(0)
    kept = []
    taps = {place: list(here) for place, here in buffers.taps.items()}
    taps.setdefault(("residual", layer), []).append(
        lambda h, span: kept.append(h[:, span.prefix :])
    )
    model.engine.read(conditioning, taps, clips.codes.long())
    positions = whole_positions(model.shape, clips.frames)
    return kept[0][0, positions.start : positions.stop]


def test_the_vector_raises_its_feature_by_the_peak(melody, trained, vector, tmp_path):
    """Where the feature is active already, strength 1 adds the peak, since e_f . d_f = 1 here."""
    clips = clips_of_prompts(melody.engine, [PROMPT], tmp_path / "c", seconds=0.8)
    plain = read_frames(melody.engine, clips, "residual", (LAYER,)).rows[LAYER]
    moved = steered_rows(melody, clips, vector, 1.0, LAYER)
    assert torch.allclose(moved - plain, vector[LAYER].expand_as(plain), atol=1e-4)
    before = (plain - trained.weights.decoder_bias) @ trained.weights.encoder[FEATURE]
    after = feature_values(trained.weights, moved)[:, FEATURE]
    expected = torch.relu(before + trained.peaks[FEATURE])
    assert torch.allclose(after, expected, atol=1e-3)
    active = (encode(trained.weights, moved)[:, FEATURE] > 0).float().mean()
    assert active > (encode(trained.weights, plain)[:, FEATURE] > 0).float().mean()


def test_strength_0_changes_no_code_and_strength_1_does(melody, vector):
    def codes(steer):
        return melody.generate(PROMPT, steer=steer, seconds=0.8, seed=3).codes

    assert np.array_equal(codes(None), codes({vector: "raw:0"}))
    assert not np.array_equal(codes(None), codes({vector: "raw:1"}))


def often_active(trained, rows):
    """The feature that is active in about half of the rows."""
    shares = (encode(trained.weights, rows) > 0).float().mean(0)
    return int((shares - 0.5).abs().argmin())


def test_the_reader_reads_the_value_of_the_feature(melody, trained, vector):
    x = 6 * torch.randn(200, melody.shape.width, generator=torch.Generator().manual_seed(0))
    expected = encode(trained.weights, x)[:, FEATURE]
    assert (expected > 0).any() and (expected == 0).any()
    assert torch.allclose(read_feature(x, vector.reader(LAYER))[:, 0], expected, atol=1e-4)


@pytest.mark.parametrize(("strength", "factor"), [(-1.0, 0.0), (-0.4, 0.6), (2.0, 3.0)])
def test_operator_feature_is_the_edit_of_the_autoencoder(
    melody, trained, tmp_path, strength, factor
):
    """h + W_dec (z' - z), by the engine and by the formula; the error is kept."""
    clips = clips_of_prompts(melody.engine, [PROMPT], tmp_path / "c", seconds=0.8)
    plain = read_frames(melody.engine, clips, "residual", (LAYER,)).rows[LAYER]
    feature = often_active(trained, plain)
    vector = feature_vector(trained, feature)
    moved = steered_rows(melody, clips, vector, strength, LAYER, operator="feature")
    expected = edit(trained.weights, plain, {feature: factor})
    assert not torch.allclose(expected, plain, atol=1e-2)
    assert torch.allclose(moved, expected, atol=1e-4)


def test_several_edits_keep_the_error_and_the_other_features(trained):
    x = 6 * torch.randn(50, trained.info.width, generator=torch.Generator().manual_seed(0))
    z = encode(trained.weights, x)
    other = z.clone()
    other[:, 3], other[:, 8] = 0, 2 * z[:, 8]
    found = edit(trained.weights, x, {3: 0.0, 8: 2.0})
    error = x - decode(trained.weights, z)
    assert torch.allclose(found, decode(trained.weights, other) + error, atol=1e-4)
    assert torch.equal(edit(trained.weights, x, {3: 1.0, 8: 1.0}), x)


def test_an_edit_of_nothing_passes_the_activations_through_and_a_reconstruction_does_not(
    melody, trained, tmp_path
):
    """The pass-through control: replacing activations by reconstructions costs, editing does not."""
    clips = clips_of_prompts(melody.engine, [PROMPT], tmp_path / "c", seconds=0.8)
    found = predictions_with(
        melody.engine,
        clips,
        "residual",
        LAYER,
        {
            "kept": None,
            "edited": lambda x: edit(trained.weights, x, {FEATURE: 1.0}),
            "reconstructed": lambda x: reconstruct(trained.weights, x),
        },
    )
    assert found["edited"].cross_entropy == found["kept"].cross_entropy
    assert abs(found["edited"].divergence) < 1e-6 < found["reconstructed"].divergence


def test_the_takes_of_an_edit_do_not_depend_on_batch_mates(melody, trained, tmp_path):
    clips = clips_of_prompts(melody.engine, [PROMPT], tmp_path / "c", seconds=0.8)
    plain = read_frames(melody.engine, clips, "residual", (LAYER,)).rows[LAYER]
    vector = feature_vector(trained, often_active(trained, plain))

    def request(strength, seed):
        steer = Steer(vector="f", strength=strength, operator="feature", strategy="one-to-one")
        return TakeRequest(PROMPT, seed, steering=Steering(steers=(steer,)), seconds=0.8)

    vectors = {"f": vector}
    (alone,) = melody.generate_batch([request(-1.0, 3)], vectors=vectors)
    beside = list(
        melody.generate_batch([request(9.0, 1), request(-1.0, 3), request(2.0, 2)], vectors=vectors)
    )[1]
    assert np.array_equal(alone.codes, beside.codes)
    (kept,) = melody.generate_batch([request(0.0, 3)], vectors=vectors)
    assert not np.array_equal(alone.codes, kept.codes)


@pytest.mark.parametrize(("feature", "message"), [(48, "features 0 to 47"), (-1, "does not exist")])
def test_a_feature_that_does_not_exist_is_refused(trained, feature, message):
    with pytest.raises(TonearmError, match=message):
        feature_vector(trained, feature)


def test_a_feature_that_is_never_active_is_refused(trained):
    trained.peaks[FEATURE] = 0
    with pytest.raises(TonearmError, match="feature 7 is never active"):
        feature_vector(trained, FEATURE)
