"""Clips of codes: takes of prompts, encoded recordings, and their folder."""

import json

import pytest
import torch

from tests.activations.sounds import noise_clip, recordings
from tonearm.activations import clips as clips_module
from tonearm.activations.clip_sources import clip_audio, clips_of_prompts, clips_of_recordings
from tonearm.activations.store import INDEX
from tonearm.datasets.recordings import Recording
from tonearm.errors import TonearmError
from tonearm.musicgen.codec import encode_audio

PROMPTS = ["a fast folk tune", "calm", "slow jazz piece with flute and piano"]
SECONDS = 0.4


def takes(model, folder, count=None, **settings):
    return clips_of_prompts(model.engine, PROMPTS, folder, takes=count, seconds=SECONDS, **settings)


@pytest.fixture
def model(model_of):
    return model_of("melody")


@pytest.mark.parametrize("variant", ["melody", "small", "stereo-small"])
def test_takes_are_those_of_generate(model_of, variant, tmp_path):
    model = model_of(variant)
    found = takes(model, tmp_path / "clips", 5, seed=7)
    for index, (record, codes) in enumerate(zip(found.records, found.codes, strict=True)):
        prompt = PROMPTS[index % 3]
        take = model.generate(prompt, seconds=SECONDS, seed=7 + index)
        assert torch.equal(codes.long(), torch.from_numpy(take.codes)), index
        assert (record.text, record.track) == (prompt, prompt)
    assert found.tracks == tuple(PROMPTS)
    assert len({record.name for record in found.records}) == 5


def test_segments_of_recordings_are_encoded_in_order(model, tmp_path):
    given = recordings(3, seconds=1.3)
    found = clips_of_recordings(model.engine, given, tmp_path / "clips", seconds=0.6)
    assert [record.track for record in found.records] == [
        one.track for one in given for _ in range(2)
    ]
    assert all(record.text is None for record in found.records)
    clip = given[1].read().resampled(model.shape.sample_rate)
    half = int(0.6 * model.shape.sample_rate)
    section = type(clip)(clip.samples[:, half : 2 * half], clip.sample_rate)
    assert torch.equal(found.codes[3].long(), encode_audio(model.checkpoint, section))


def test_audio_that_cannot_be_used_is_left_out_with_its_reason(model, tmp_path):
    short = Recording.of_clip(noise_clip(0.1), "", "short")
    found = clips_of_recordings(
        model.engine, [short, *recordings(2)], tmp_path / "clips", seconds=0.6
    )
    assert len(found) == 2
    assert [(one.reason, one.names) for one in found.skipped] == [("too short", ("short",))]
    with pytest.raises(TonearmError, match="no audio can be used: 1 too short"):
        clips_of_recordings(model.engine, [short], tmp_path / "other", seconds=0.6)


def test_a_stopped_collection_resumes_without_repeating_a_shard(model, tmp_path, monkeypatch):
    monkeypatch.setattr("tonearm.activations.clip_sources.TAKES_PER_SHARD", 2)
    whole = takes(model, tmp_path / "whole", 5)
    folder, done = tmp_path / "stopped", []

    def stop(count, total):
        done.append((count, total))
        if count == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        takes(model, folder, 5, progress=stop)
    assert done == [(2, 5), (4, 5)]
    made = []
    original = clips_module._write
    monkeypatch.setattr(
        clips_module, "_write", lambda path, clips: (made.append(len(clips)), original(path, clips))
    )
    resumed = takes(model, folder, 5)
    assert made == [1]
    assert resumed.records == whole.records and torch.equal(resumed.codes, whole.codes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"seed": 1}, "other data"), ({"count": 4}, "items 3, not 4")],
)
def test_a_folder_of_other_clips_is_refused(model, tmp_path, change, reason):
    folder = tmp_path / "clips"
    takes(model, folder)
    with pytest.raises(TonearmError, match=reason):
        takes(model, folder, **change)


def test_a_folder_with_other_files_is_refused(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(TonearmError, match=r"not empty and holds no index\.json"):
        takes(model, tmp_path)


@pytest.mark.parametrize("damage", ["cut", "code", "header"])
def test_a_damaged_shard_is_refused(model, tmp_path, damage):
    folder = tmp_path / "clips"
    takes(model, folder)
    shard = folder / "codes-00000.safetensors"
    content = bytearray(shard.read_bytes())
    if damage == "cut":
        content = content[:-5]
    elif damage == "code":
        content[-2] ^= 1
    else:
        content = content.replace(b"take 0", b"take\x000")
    shard.write_bytes(content)
    with pytest.raises(TonearmError, match=r"codes-00000\.safetensors"):
        takes(model, folder)


def test_a_damaged_index_is_refused(model, tmp_path):
    folder = tmp_path / "clips"
    takes(model, folder)
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps({**index, "frames": 0}))
    with pytest.raises(TonearmError, match="frames"):
        takes(model, folder)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "0 takes are not possible"),
        ({"seed": -1}, "seed -1 is not possible"),
        ({"seconds": 1e9}, "segments of 1e.09 s are not possible"),
    ],
)
def test_impossible_arguments_are_refused(model, tmp_path, settings, message):
    count = settings.pop("count", None)
    arguments = {"seconds": SECONDS, "takes": count, **settings}
    with pytest.raises(TonearmError, match=message):
        clips_of_prompts(model.engine, PROMPTS, tmp_path / "clips", **arguments)
    assert not (tmp_path / "clips").exists()


def test_prompts_are_needed(model, tmp_path):
    for prompts in ([], ["a tune", " "]):
        with pytest.raises(TonearmError, match="a prompt is empty, or there is none"):
            clips_of_prompts(model.engine, prompts, tmp_path / "clips", seconds=SECONDS)


def test_the_audio_of_a_clip_is_that_of_its_codes(model, tmp_path):
    found = takes(model, tmp_path / "clips")
    take = model.generate(PROMPTS[0], seconds=SECONDS, seed=0)
    clip = clip_audio(model.checkpoint, found.codes[0])
    assert torch.equal(torch.from_numpy(clip.samples), torch.from_numpy(take.clip.samples))
