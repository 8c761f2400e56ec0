"""Audio prompts and melodies that are longer than a checkpoint can use, and takes that do not fit the
memory.
"""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.steering.vectors import vector_of
from tonearm import Clip, TakeRequest, TonearmError, compare, replay
from tonearm.generation import prepare
from tonearm.generation.check import max_prompt_frames
from tonearm.model import Model
from tonearm.musicgen import memory_estimate
from tonearm.musicgen.codec import encode_audio
from tonearm.musicgen.melody import CHROMA_FFT, CHROMA_HOP, CHROMA_RATE, chromagram

RATE = 1600  # of the tiny checkpoints
PROMPT = "a calm tune"


def noise(seconds: float, rate: int = RATE) -> Clip:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * rate))
    return Clip(samples.astype(np.float32), rate)


@pytest.mark.parametrize("rate", [RATE, 1777])
@pytest.mark.parametrize("variant", ["small", "stereo-melody"])
def test_a_prompt_longer_than_the_window_is_continued_from_its_end(model_of, variant, rate, caplog):
    model = model_of(variant)
    prompt, longest = noise(33.3, rate), max_prompt_frames(model.shape)
    with caplog.at_level(logging.WARNING, "tonearm"):
        take = model.generate(PROMPT, continue_from=prompt, seconds=0.6, seed=1)
    (record,) = [one for one in caplog.records if one.name.startswith("tonearm")]
    assert "33.3 s" in record.getMessage() and "its last 29.8" in record.getMessage()
    assert take.codes.shape[1] == longest + 15
    end = encode_audio(model.checkpoint, prompt.last(longest / model.shape.frame_rate))
    assert np.array_equal(take.codes[:, :longest], end[:, -longest:].numpy())


def test_a_take_can_be_continued_again_and_again_and_replayed(small, tmp_path):
    take = small.generate(PROMPT, seconds=small.shape.window_seconds, seed=1)
    assert take.seconds == small.shape.window_seconds
    for seed in (2, 3):
        longer = small.generate(PROMPT, continue_from=take, seconds=0.6, seed=seed)
        assert longer.provenance.new_seconds == 0.6
        path = longer.save(tmp_path / f"{seed}.wav")
        assert replay(path.with_suffix(".json"), model=small).identical
        take = longer


def test_the_longest_prompt_that_fits_is_used_whole(small, caplog):
    fits = noise(max_prompt_frames(small.shape) / small.shape.frame_rate)
    with caplog.at_level(logging.WARNING, "tonearm"):
        take = small.generate(PROMPT, continue_from=fits, seconds=0.4, seed=1)
    assert not [one for one in caplog.records if one.name.startswith("tonearm")]
    codes = encode_audio(small.checkpoint, fits).numpy()
    assert np.array_equal(take.codes[:, : codes.shape[1]], codes)


def test_only_the_end_of_a_long_prompt_is_encoded(small, monkeypatch):
    encoded = []

    def encode(checkpoint, clip):
        encoded.append(clip.seconds)
        return encode_audio(checkpoint, clip)

    monkeypatch.setattr(prepare, "encode_audio", encode)
    small.generate(PROMPT, continue_from=noise(1800), seconds=0.4, seed=1)
    assert len(encoded) == 1 and encoded[0] <= small.shape.window_seconds


def test_a_prompt_whose_end_is_silent_is_refused(small):
    samples = noise(40).samples.copy()
    samples[:, -RATE * 31 :] = 0
    with pytest.raises(TonearmError, match=r"the end of the audio prompt.*silent"):
        small.generate(PROMPT, continue_from=Clip(samples, RATE), seconds=0.4)


def test_the_start_of_a_chromagram_is_that_of_the_whole_melody():
    melody = noise(20, CHROMA_RATE)
    whole = chromagram(melody)
    assert len(set(whole.argmax(1).tolist())) > 6
    for frames in (1, 2, 79):
        assert torch.equal(chromagram(melody, frames=frames), whole[:frames])
    assert torch.equal(chromagram(melody, frames=10**4), whole)


def test_no_more_of_a_melody_is_transformed_than_a_window_reads(melody, monkeypatch):
    lengths = []
    stft = torch.stft

    def counting(samples, *args, **kwargs):
        lengths.append(len(samples))
        return stft(samples, *args, **kwargs)

    monkeypatch.setattr(torch, "stft", counting)
    melody.generate(PROMPT, melody=noise(1800), seconds=0.4, seed=1)
    longest = melody.shape.prefix_positions * CHROMA_HOP + CHROMA_FFT
    assert lengths and max(lengths) <= longest


def test_the_memory_of_a_replay_counts_the_audio_prompt(small, tmp_path, monkeypatch):
    take = small.generate(PROMPT, seconds=0.4, seed=1, continue_from=noise(1.0))
    sidecar, asked, limits = take.save(tmp_path / "take.wav"), [], Model._limits

    def noting(model):
        found = limits(model)
        return replace(found, check=lambda shape: asked.append(shape) or found.check(shape))

    monkeypatch.setattr(Model, "_limits", noting)
    assert replay(sidecar, model=small).identical
    new = round(0.4 * small.shape.frame_rate)
    assert asked[-1].frames == take.provenance.frames > new
    assert asked[-1].known_frames == take.provenance.frames - new


ENTRIES = {
    "generate": lambda model, folder: model.generate(PROMPT, seconds=0.4),
    "generate_batch": lambda model, folder: model.generate_batch([TakeRequest(PROMPT, 1)]),
    "a given batch size": lambda model, folder: model.generate_batch(
        [TakeRequest(PROMPT, 1), TakeRequest(PROMPT, 2)], batch_size=2
    ),
    "stream": lambda model, folder: model.stream(PROMPT, seconds=0.4),
    "an open-ended stream": lambda model, folder: model.stream(PROMPT, seconds=None),
    "compare": lambda model, folder: compare(
        model, PROMPT, [{vector_of(model): "raw:1"}], seconds=0.4
    ),
    "replay": lambda model, folder: replay(folder / "take.json", model=model),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_refuses_what_does_not_fit_the_memory(small, tmp_path, monkeypatch, entry):
    small.generate(PROMPT, seconds=0.4, seed=1).save(tmp_path / "take.wav")
    monkeypatch.setattr(memory_estimate, "free_bytes", lambda device: 10_000)
    with pytest.raises(TonearmError, match=r"needs \d+\.\d+ GiB beside the weights.*fewer seconds"):
        ENTRIES[entry](small, tmp_path)
