"""Embedding by a checkpoint's codec."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from tests.measures.sounds import clicks, noise, silence
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.measures import measure_fad
from tonearm.model import Model
from tonearm.musicgen.codec_embedder import CodecEmbedder


@pytest.fixture
def embedder(model_of: Callable[[str], Model]) -> CodecEmbedder:
    return CodecEmbedder(model_of("small").checkpoint)


def test_an_embedding_is_the_mean_of_the_encoder_output(embedder: CodecEmbedder) -> None:
    checkpoint = embedder.checkpoint
    clip = clicks(120, 2).resampled(checkpoint.shape.sample_rate)
    with torch.inference_mode():
        frames = checkpoint.model.audio_encoder.encoder(torch.from_numpy(clip.samples)[None])
    np.testing.assert_allclose(embedder.embed([clip])[0], frames[0].mean(1), rtol=1e-5)


def test_stereo_is_embedded_as_its_mono_mix_and_lengths_may_differ(embedder: CodecEmbedder) -> None:
    clip = clicks(120, 2)
    rows = embedder.embed([clip, Clip(clip.samples.repeat(2, 0), clip.sample_rate), noise(1)])
    assert rows.shape == (3, 16)
    np.testing.assert_array_equal(rows[0], rows[1])


def test_the_protocol_of_a_distance_names_the_codec_as_circular(embedder: CodecEmbedder) -> None:
    one = EmbeddingSet.of_clips([noise(seed=i) for i in range(3)], embedder, "noise")
    assert "circular" in measure_fad(one, one).protocol


def test_clips_with_nan_or_without_samples_are_refused(embedder: CodecEmbedder) -> None:
    for clip in (silence(0), Clip(np.full(8000, np.nan), 8000)):
        with pytest.raises(TonearmError, match="leave it out"):
            embedder.embed([clip])
