"""Decoder weights that an engine has consumed, and everything that works afterwards."""

from pathlib import Path

import numpy as np
import pytest

from tests import checkpoints
from tests.checkpoints import VARIANTS
from tonearm import Clip, TakeRequest, TonearmError, learn, load
from tonearm.model import Model
from tonearm.musicgen.checkpoint import load_checkpoint
from tonearm.musicgen.codec_embedder import CodecEmbedder
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.engine import ReferenceEngine

PROMPT = "a fast folk tune"


def take_of(model):
    return model.generate(PROMPT, seconds=0.4, seed=1)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A checkpoint of this test's own."""
    return checkpoints.save(VARIANTS["small"], tmp_path / "mine")


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_decoder_weights_are_in_memory_once(folder_of, variant):
    model = load(str(folder_of(variant)), device="cpu")
    parameters = model.checkpoint.model.decoder.named_parameters()
    assert not [name for name, one in parameters if not one.is_meta and "layer_norm" not in name]


def test_a_consumed_decoder_is_refused(folder):
    checkpoint = load_checkpoint(str(folder), "cpu")
    assert checkpoint.decoder is checkpoint.model.decoder
    Decoder(checkpoint, consume=True)
    assert checkpoint.consumed
    for use in (
        lambda: checkpoint.decoder,
        lambda: checkpoint.layers,
        lambda: Decoder(checkpoint),
        lambda: ReferenceEngine(checkpoint),
    ):
        with pytest.raises(
            TonearmError, match=r"were moved into the packed decoder; load .* again"
        ):
            use()


def test_a_decoder_that_does_not_consume_leaves_the_weights(folder):
    checkpoint = load_checkpoint(str(folder), "cpu")
    Decoder(checkpoint)
    assert not checkpoint.consumed and not Model(checkpoint).checkpoint.consumed
    assert not any(one.is_meta for one in checkpoint.decoder.parameters())


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_another_engine_works_after_any_number_of_takes(folder_of, variant):
    model = load(str(folder_of(variant)), device="cpu")
    takes = [take_of(model) for _ in range(2)]
    reference = model.with_engine("reference")
    assert reference.vectors is model.vectors and reference.engine.name == "reference"
    expected = take_of(reference)
    decoder = reference.with_engine("decoder")
    for take in (*takes, take_of(model), take_of(decoder)):
        assert np.array_equal(take.codes, expected.codes)


def test_learning_streaming_and_embedding_work_after_any_number_of_takes(folder_of):
    used, fresh = (load(str(folder_of("small")), device="cpu") for _ in range(2))
    for seed in range(3):
        used.generate(PROMPT, seconds=0.4, seed=seed)
    list(used.generate_batch([TakeRequest(PROMPT, seed, seconds=0.4) for seed in range(3)]))
    vectors = [
        learn(model, ["a fast tune"], ["a slow tune"], "tempo", seconds=0.4)
        for model in (used, fresh)
    ]
    assert vectors[0].content_hash() == vectors[1].content_hash()
    clip = Clip(np.random.default_rng(0).standard_normal((1, 3200)), 1600)
    rows = [CodecEmbedder(model.checkpoint).embed([clip]) for model in (used, fresh)]
    assert np.array_equal(*rows)
    stream = used.stream(PROMPT, seconds=0.4, seed=1)
    list(stream)
    assert np.array_equal(stream.take.codes, take_of(fresh).codes)


def test_weights_from_a_relative_path_are_loaded_again_from_another_folder(
    folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model = load("mine", device="cpu")
    expected = take_of(model)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    reference = model.with_engine("reference")
    assert np.array_equal(take_of(reference).codes, expected.codes)
    assert reference.shape.name == "mine"


def test_changed_weights_are_not_loaded_again(folder):
    model = load(str(folder), device="cpu")
    fingerprint = model.shape.fingerprint
    checkpoints.save(VARIANTS["small"], folder, seed=1)
    with pytest.raises(TonearmError, match="holds other weights now") as error:
        model.with_engine("reference")
    assert fingerprint in str(error.value) and "\n" not in str(error.value)


def test_weights_that_are_gone_are_not_loaded_again(folder):
    model = load(str(folder), device="cpu")
    folder.rename(folder.with_name("moved"))
    with pytest.raises(TonearmError, match=r"no checkpoint|cannot load checkpoint"):
        model.with_engine("reference")
    assert take_of(model).seconds == 0.4
