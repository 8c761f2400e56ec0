"""Takes on disk, and their replay from sidecars."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tonearm
from tests.steering.vectors import scales_of, vector_of
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.provenance import SIDECAR_FORMAT, StackRecord, read_sidecar
from tonearm.generation.reproduction import batch_of
from tonearm.generation.request import TakeRequest
from tonearm.generation.side_files import MAX_STEM_BYTES, check_take_path
from tonearm.generation.take import Take
from tonearm.hashing import hash_clip
from tonearm.model import Model
from tonearm.replaying import replay
from tonearm.steering import Schedule, Steer, Steering, load_vector, save_vector


def noise(seconds: float = 0.29, channels: int = 1) -> Clip:
    """Loud enough for the tiny codec; not a whole number of frames, at a rate of its own."""
    return Clip(
        1e4 * np.random.default_rng(0).standard_normal((channels, round(seconds * 4410))), 4410
    )


def tone(seconds: float = 1.0) -> Clip:
    return Clip(np.sin(2 * np.pi * 440 * np.arange(round(seconds * 16_000)) / 16_000), 16_000)


def steered(model: Model, **settings) -> Take:
    steers = [
        Steer(vector="x", strength=1.5, schedule=Schedule.ramp(0, 0.3)),
        Steer(vector="y/z 1.5", operator="rotate", strategy="all-to-all"),
        Steer(vector="x", operator="set", level=1.7, strategy="one-to-one", branch="conditional"),
    ]
    model.vectors["x"], model.vectors["y/z 1.5"] = (
        vector_of(model, "x"),
        vector_of(model, "y/z 1.5", seed=1),
    )
    return model.generate("a calm tune", steer=steers, seconds=0.4, seed=5, **settings)


def middle_of(model: Model, prompts, vectors=None, **fields) -> Take:
    requests = [TakeRequest(text, 5 + i, seconds=0.4, **fields) for i, text in enumerate(prompts)]
    return list(model.generate_batch(requests, vectors=vectors))[1]


def take_of(model: Model, kind: str, folder: Path) -> Take:
    settings = dict(seconds=0.4, seed=5)
    three = ["a fast folk tune", "calm", "slow jazz piece with flute and piano"]
    if kind == "steered":
        return steered(model)
    if kind == "middle row of three":
        return middle_of(model, three)
    if kind == "middle row of four of one prompt":
        return middle_of(model, [three[0]] * 4)
    if kind == "middle row of two pairs, one negative":
        requests = [TakeRequest(three[i // 2], 5 + i, seconds=0.4) for i in range(4)]
        requests[1] = replace(requests[1], negative="loud")
        return list(model.generate_batch(requests))[1]
    if kind == "middle row with negative, steered":
        steering = Steering(steers=(Steer(vector="x"),))
        vectors = {"x": vector_of(model, "x")}
        return middle_of(model, three, vectors, steering=steering, negative="loud")
    if kind == "audio prompt as a path":
        return model.generate(
            "calm", **settings, continue_from=noise().write(folder / "prompt.wav")
        )
    changes = {
        "plain": {},
        "negative": dict(negative="loud jazz"),
        "guidance 1": dict(guidance=1.0),
        "greedy": dict(temperature=0),
        "audio prompt": dict(continue_from=noise()),
        "odd audio prompt": dict(continue_from=noise(0.41)),
        "melody": dict(melody=tone()),
        "melody and audio prompt": dict(melody=tone(), continue_from=noise()),
    }
    return model.generate("calm", **settings, **changes[kind])


KINDS = (
    "plain",
    "steered",
    "middle row of three",
    "middle row of four of one prompt",
    "middle row of two pairs, one negative",
    "middle row with negative, steered",
    "negative",
    "guidance 1",
    "greedy",
    "audio prompt",
    "odd audio prompt",
    "audio prompt as a path",
)


@pytest.mark.parametrize(
    ("variant", "kind"),
    [
        *(("small", kind) for kind in KINDS),
        *(("melody", kind) for kind in (*KINDS, "melody", "melody and audio prompt")),
        ("stereo-small", "plain"),
        ("stereo-melody", "melody and audio prompt"),
    ],
)
def test_a_take_replays_bit_for_bit(model_of, tmp_path, variant, kind):
    model = model_of(variant)
    take = take_of(model, kind, tmp_path)
    sidecar = take.save(tmp_path / "saved" / "my take.v1.wav")
    assert sidecar.name == "my take.v1.json"
    again = replay(sidecar, model=Model(model.checkpoint))  # its library has no added vectors
    assert again.identical and again.differences == ()
    assert np.array_equal(again.take.codes, take.codes) and np.array_equal(
        again.take.clip.samples, take.clip.samples
    )
    assert np.array_equal(
        Clip.read(tmp_path / "saved" / "my take.v1.wav").samples, take.clip.samples
    )
    assert again.take.provenance.new_seconds == take.provenance.new_seconds == 0.4
    assert again.take.provenance.batch == take.provenance.batch  # rows, padding, shared texts


def test_the_checkpoint_is_loaded_if_no_model_is_given(small, folder_of, tmp_path):
    sidecar = small.generate("calm", seconds=0.2, seed=1).save(tmp_path / "take.wav")
    assert replay(sidecar, checkpoint=str(folder_of("small"))).identical


def test_a_moved_folder_replays(small, tmp_path):
    steered(small, continue_from=noise()).save(tmp_path / "here" / "take.wav")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert replay(tmp_path / "there" / "take.json", model=Model(small.checkpoint)).identical


def test_a_sidecar_is_strict_json_and_reads_back_equal(small, tmp_path):
    take = steered(small)
    sidecar = take.save(tmp_path / "take.wav", measured={"tempo": 120.5})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    content = json.loads(sidecar.read_text(encoding="utf-8"), parse_constant=refuse)
    assert content["measured"] == {"tempo": 120.5} and content["audio_file"] == "take.wav"
    provenance = read_sidecar(sidecar)
    assert provenance.steering == take.provenance.steering
    assert (
        provenance.audio_sha256
        == hash_clip(take.clip)
        == hash_clip(Clip.read(tmp_path / "take.wav"))
    )
    for name, record in provenance.vectors.items():
        assert load_vector(tmp_path / record.file).info.name == name
    assert str(tmp_path) not in sidecar.read_text()


def edit(sidecar: Path, change) -> Path:
    content = json.loads(sidecar.read_text())
    change(content)
    sidecar.write_text(json.dumps(content))
    return sidecar


def test_differences_of_the_stack_are_listed(small, tmp_path):
    sidecar = small.generate("calm", seconds=0.2, seed=1).save(tmp_path / "take.wav")

    def other_stack(content):
        content["stack"] |= {"threads": 99, "dtype": "bfloat16"}
        content["stack"]["packages"]["torch"] = "1.0"
        content["engine"] = "fast"

    again = replay(edit(sidecar, other_stack), model=small)
    lines = "\n".join(again.differences)
    assert again.identical and len(again.differences) == 4
    assert (
        "threads: 99 then" in lines
        and "torch: 1.0 then" in lines
        and "engine: fast then, decoder now" in lines
    )


def test_different_audio_is_not_identical(small, tmp_path):
    sidecar = small.generate("calm", seconds=0.2, seed=1).save(tmp_path / "take.wav")
    assert not replay(edit(sidecar, lambda content: content.update(seed=2)), model=small).identical


def test_other_weights_are_refused(small, melody, tmp_path):
    sidecar = small.generate("calm", seconds=0.2, seed=1).save(tmp_path / "take.wav")
    with pytest.raises(TonearmError, match="made with weights") as error:
        replay(sidecar, model=melody)
    assert small.checkpoint.shape.fingerprint in str(
        error.value
    ) and melody.checkpoint.shape.fingerprint in str(error.value)
    with pytest.raises(TonearmError, match="checkpoint folder 'gone'; name its place"):
        replay(edit(sidecar, lambda content: content["checkpoint"].update(name="gone")))


def test_frame_scales_that_have_changed_are_refused_where_a_level_was_set(small, tmp_path):
    small.vectors["x"] = vector_of(small, "x")
    files = {}
    for steer in ("x=raw:1", "x=2@set"):
        take = small.generate("calm", steer=steer, seconds=0.2, seed=5)
        files[steer] = take.save(tmp_path / f"{len(files)}.wav")
        (record,) = take.provenance.vectors.values()
        assert (record.frame_scales_hash is None) == (steer == "x=raw:1")
    for sidecar in files.values():
        (file,) = tmp_path.glob(f"{sidecar.stem}.x-*.safetensors")
        save_vector(load_vector(file).with_frame_scales(scales_of(3, seed=1)), file)
    assert replay(files["x=raw:1"], model=small).identical
    with pytest.raises(TonearmError, match=r"the frame scales of vector x, .* have changed since"):
        replay(files["x=2@set"], model=small)


def test_an_absent_or_changed_vector_is_refused(small, tmp_path):
    sidecar = steered(small).save(tmp_path / "take.wav")
    file = tmp_path / read_sidecar(sidecar).vectors["x"].file
    save_vector(vector_of(small, "x", seed=9), file)
    with pytest.raises(TonearmError, match="vector x has changed"):
        replay(sidecar, model=small)
    file.unlink()
    with pytest.raises(TonearmError, match="no steering vector at"):
        replay(sidecar, model=small)


def test_absent_or_changed_audio_is_refused(small, tmp_path):
    sidecar = small.generate("calm", seconds=0.4, seed=1, continue_from=noise()).save(
        tmp_path / "take.wav"
    )
    file = tmp_path / read_sidecar(sidecar).audio_prompt.file
    noise(0.2).write(file)
    with pytest.raises(TonearmError, match="has changed"):
        replay(sidecar, model=small)
    file.unlink()
    with pytest.raises(TonearmError, match="no audio file"):
        replay(sidecar, model=small)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=SIDECAR_FORMAT + 1), "has sidecar format"),
        (lambda c: c.update(format="new"), "format"),
        (lambda c: c.update(kind="song"), "not a take's sidecar"),
        (lambda c: c.pop("seed"), "seed"),
        (lambda c: c.update(mood="calm"), "unknown key"),
        (lambda c: c.update(new_seconds="long"), "new_seconds"),
        (lambda c: c["batch"].update(rows=2), "known are size, row"),
        (lambda c: c["steering"].update(steer=1), "known are steers"),
    ],
)
def test_a_wrong_sidecar_is_refused_in_one_line(small, tmp_path, change, message):
    sidecar = edit(small.generate("calm", seconds=0.2, seed=1).save(tmp_path / "take.wav"), change)
    with pytest.raises(TonearmError, match=message) as error:
        replay(sidecar, model=small)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", "3", "{}", '{"steers": []}', "{", b"\xff\xfe\x81"])
def test_other_files_are_refused_as_sidecars(tmp_path, content):
    file = tmp_path / "x.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TonearmError, match=r"sidecar|take's audio"):
        read_sidecar(file)


def test_an_absent_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "absent.json"):
        with pytest.raises(TonearmError, match=r"give the \.json beside a take's audio"):
            read_sidecar(path)


def test_a_take_is_not_saved_with_an_unknown_suffix(small, tmp_path):
    with pytest.raises(TonearmError, match=r"use one of \.wav"):
        small.generate("calm", seconds=0.2, seed=1).save(tmp_path / "take.mp3")
    assert not list(tmp_path.iterdir())


def test_stack_differences_name_both_sides(small):
    now = StackRecord.here(small.checkpoint.device, small.checkpoint.precision)
    assert now.differences(now) == []
    then = now.model_copy(update={"device": "NVIDIA H100"})
    assert then.differences(now) == ["device: NVIDIA H100 then, cpu now"]


def test_the_public_replay_is_a_function_after_its_first_use(small, tmp_path):
    """A module of the same name would replace it at its import."""
    sidecar = small.generate("calm", seconds=0.2, seed=1).save(tmp_path / "take.wav")
    assert tonearm.replay(sidecar, model=small).identical
    assert tonearm.replay(sidecar, model=small).identical


def test_a_take_replays_with_the_engine_of_its_sidecar(small, tmp_path):
    take = small.with_engine("reference").generate("a fast tune", seconds=0.5, seed=3)
    assert take.provenance.engine == "reference"
    take.save(tmp_path / "slow.wav")
    again = replay(tmp_path / "slow.json", model=small)
    assert again.identical and again.take.provenance.engine == "reference"
    assert not any("engine" in line for line in again.differences)


def test_rows_of_one_prompt_share_its_text_and_replay_does_too(small):
    requests = [TakeRequest("a fast folk tune", seed, seconds=0.4) for seed in range(4)]
    takes = list(small.generate_batch(requests))
    assert [take.provenance.batch.text_group for take in takes] == [4] * 4
    mixed = [*requests[:2], *(replace(one, prompt="calm", negative="loud") for one in requests[2:])]
    batches = [take.provenance.batch for take in small.generate_batch(mixed)]
    assert {(batch.text_group, batch.negative_rows) for batch in batches} == {(2, (2, 3))}


def test_a_take_of_an_open_ended_stream_longer_than_an_hour_is_not_refused(small):
    place = small.generate("calm", seconds=0.2, seed=1).provenance.batch
    request = TakeRequest("calm", 1, seconds=3601)
    with pytest.raises(TonearmError, match="3601 s is not possible"):
        small.generate_batch([request])
    prepared, _ = small._prepare(batch_of(request, place), {}, recorded=True)
    assert prepared[0].frames == 3601 * small.shape.frame_rate


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
@pytest.mark.parametrize("written", range(5))
def test_a_disk_that_fills_up_leaves_no_part_of_a_take(
    small, tmp_path, monkeypatch, suffix, written
):
    """The five files: audio, two vectors, audio prompt and sidecar."""
    take = steered(small, continue_from=noise())
    real, calls = Path.write_bytes, []

    def write_bytes(path: Path, content: bytes) -> int:
        calls.append(path)
        if len(calls) > written:
            real(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(TonearmError, match="the disk is full"):
        take.save(tmp_path / f"take{suffix}")
    assert not list(tmp_path.iterdir())


def test_the_longest_name_of_a_take_can_be_saved_with_all_files(small, tmp_path):
    name = "é" * 60 + "n" * 60
    model = Model(small.checkpoint)
    model.vectors[name] = vector_of(small, name)
    steer = [Steer(vector=name, strength=1.5)]
    take = model.generate("calm", steer=steer, seconds=0.4, seed=5, continue_from=noise())
    path = tmp_path / ("x" * MAX_STEM_BYTES + ".flac")
    check_take_path(path)
    sidecar = take.save(path)
    assert len(list(tmp_path.iterdir())) == 4
    assert replay(sidecar, model=Model(small.checkpoint)).identical
    with pytest.raises(TonearmError, match="files beside it have longer names"):
        check_take_path(path.with_name(f"x{path.name}"))
