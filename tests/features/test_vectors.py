"""A feature as a steering vector, through the engine."""

import numpy as np
import pytest
import torch

from tests.features.planted import autoencoder_of
from tonearm.activations.clip_sources import clips_of_prompts
from tonearm.activations.frames import read_frames
from tonearm.errors import TonearmError
from tonearm.features.autoencoder import encode, feature_values
from tonearm.features.vectors import feature_vector
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.engine import whole_positions
from tonearm.musicgen.steering_buffers import SteeringBuffers
from tonearm.steering import Steer, Steering, load_vector, save_vector
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


def steered_rows(model, clips, vector, strength, layer):
    """Rows of a layer in a teacher-forced pass of steered activations."""
    steer = Steer(vector="f", strength=strength, strategy="one-to-one")
    plan = resolve(
        [Steering(steers=(steer,))], {"f": vector}, model.shape, clips.frames,
        model.checkpoint.device, live=True,
    )  # fmt: skip
    conditioning = condition(model.checkpoint, [PROMPT], guided=False)
    buffers = SteeringBuffers(plan, conditioning, 0, torch.float32)
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


@pytest.mark.parametrize(("feature", "message"), [(48, "features 0 to 47"), (-1, "does not exist")])
def test_a_feature_that_does_not_exist_is_refused(trained, feature, message):
    with pytest.raises(TonearmError, match=message):
        feature_vector(trained, feature)


def test_a_feature_that_is_never_active_is_refused(trained):
    trained.peaks[FEATURE] = 0
    with pytest.raises(TonearmError, match="feature 7 is never active"):
        feature_vector(trained, FEATURE)
