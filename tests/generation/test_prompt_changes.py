"""Prompts that are changed while a stream plays: exact frames, no seam, replay bit for bit."""

import threading

import numpy as np
import pytest

from tests.generation.streams import PROMPT, WINDOW, assert_same_audio, joined, joined_plain, play
from tests.measures.sounds import noise
from tests.musicgen.decode_requests import with_window
from tests.steering.vectors import monitored_vector, vector_of
from tonearm import Clip, Steer, Steering, TonearmError
from tonearm.generation import stream_settings
from tonearm.replaying import replay
from tonearm.steering import Control, Schedule

OTHER = "a slow jazz piece with flute and piano"  # padded to another length than PROMPT
THIRD = "loud"


@pytest.fixture(params=["small", "melody", "stereo-small"])
def model(model_of, request):
    """A model with a vector and a window of WINDOW frames."""
    found = model_of(request.param)
    found.vectors["push"] = vector_of(found, "push")
    return with_window(found, WINDOW)


def assert_replays(take, model, folder):
    again = replay(take.save(folder / "played.wav"), model=model)
    assert again.identical and np.array_equal(again.take.codes, take.codes)
    recorded, found = take.provenance, again.take.provenance
    assert (found.prompt, found.sections) == (recorded.prompt, recorded.sections)
    assert found.batch == recorded.batch


@pytest.mark.parametrize("seconds", [2.4, None])
def test_a_prompt_acts_from_its_frame_without_a_seam_and_replays(model, tmp_path, seconds):
    settings = dict(seconds=seconds, seed=5, chunk_seconds=0.12)
    stream = model.stream(PROMPT, **settings)
    chunks, (frame,) = play(stream, {5: [OTHER]}, stop_at=16)
    plain = model.generate(PROMPT, seconds=stream.take.seconds, seed=5)
    codes = stream.take.codes
    assert 12 < frame < 30 and codes.shape == plain.codes.shape
    assert np.array_equal(codes[:, : frame - 4], plain.codes[:, : frame - 4])
    assert np.array_equal(codes[0, :frame], plain.codes[0, :frame])
    assert not np.array_equal(codes[0, frame:], plain.codes[0, frame:])
    assert_same_audio(joined(chunks), stream.take.clip)
    provenance = stream.take.provenance
    assert provenance.prompt == PROMPT
    assert [(one.frame, one.prompt) for one in provenance.sections] == [(frame, OTHER)]
    assert_replays(stream.take, model, tmp_path)
    rate = model.shape.frame_rate
    made = model.generate(
        PROMPT, seconds=len(codes[0]) / rate, seed=5, sections=[(frame / rate, OTHER)]
    )
    assert np.array_equal(made.codes, codes)


@pytest.mark.parametrize(
    "changes",
    [
        {1: [OTHER], 2: [THIRD], 3: [PROMPT]},
        {2: [OTHER, THIRD, OTHER, THIRD]},
        {number: [(OTHER, THIRD)[number % 2]] for number in range(1, 40)},
        {9: [OTHER], 14: [PROMPT, Control.strength("push", 3.0)], 15: [THIRD]},
    ],
    ids=["first frames", "one frame", "every chunk", "apart"],
)
def test_prompts_may_change_at_any_time(model, tmp_path, changes):
    stream = model.stream(PROMPT, seconds=None, seed=5, steer={"push": "raw:0"}, chunk_seconds=0.04)
    chunks, frames = play(stream, changes, stop_at=44)
    assert frames == sorted(frames)
    assert_same_audio(joined(chunks), stream.take.clip)
    set_prompts = [one for here in changes.values() for one in here]
    last_of = {
        frame: one for frame, one in zip(frames, set_prompts, strict=True) if isinstance(one, str)
    }
    recorded = {one.frame: one.prompt for one in stream.take.provenance.sections}
    assert recorded == last_of
    assert_replays(stream.take, model, tmp_path)


@pytest.mark.parametrize("continued", [False, True])
def test_a_prompt_that_is_set_before_the_first_step_is_the_prompt(model, tmp_path, continued):
    settings = dict(seconds=1.2, seed=5) | ({"continue_from": noise()} if continued else {})
    stream = model.stream(PROMPT, **settings)
    changes = [stream.set_prompt(text) for text in (THIRD, OTHER)]
    chunks, _ = play(stream)
    take = stream.take
    known = take.codes.shape[1] - round(1.2 * model.shape.frame_rate)
    assert [change.result(timeout=0) for change in changes] == [known, known]
    assert (known > 0) == continued
    assert (take.provenance.prompt, take.provenance.sections) == (OTHER, ())
    assert np.array_equal(take.codes, model.generate(OTHER, **settings).codes)
    assert_same_audio(joined(chunks), take.clip)
    assert_replays(take, model, tmp_path)


def test_prompts_change_at_each_of_the_first_frames(model, tmp_path):
    """Fewer frames than the overlap are known. Every other change comes between two windows, and
    replaces the one before it.
    """
    stream = model.stream(PROMPT, seconds=1.2, seed=5)
    texts = [OTHER, THIRD, PROMPT, OTHER, THIRD]
    frames = []

    def following(done):
        frames.append(done.result())
        if len(frames) < len(texts):
            stream.set_prompt(texts[len(frames)]).add_done_callback(following)

    stream.set_prompt(texts[0]).add_done_callback(following)
    chunks, _ = play(stream)
    assert frames == [0, 1, 1, 2, 2]
    assert_same_audio(joined(chunks), stream.take.clip)
    assert stream.take.provenance.prompt == OTHER
    sections = {one.frame: one.prompt for one in stream.take.provenance.sections}
    last_of = dict(zip(frames, texts, strict=True))
    assert sections == {frame: text for frame, text in last_of.items() if frame}
    assert_replays(stream.take, model, tmp_path)


def test_a_prompt_set_between_two_windows_acts_when_the_next_one_opens(windowed, tmp_path):
    stream = windowed.stream(PROMPT, seconds=2.4, seed=5, chunk_seconds=0.04)
    change = None
    for _ in stream:
        if stream._decoding.between_windows and change is None:
            change = stream.set_prompt(OTHER)
            end = stream._decoding.frames.stop
    assert change.result(timeout=0) == end == WINDOW
    assert [one.frame for one in stream.take.provenance.sections] == [WINDOW]
    assert_replays(stream.take, windowed, tmp_path)


def test_a_change_after_the_last_frame_is_refused(windowed):
    stream = windowed.stream(PROMPT, seconds=1.2, seed=5, chunk_seconds=0.04)
    late = []
    for _ in stream:
        if stream._decoding.frame >= 30:
            late.append(stream.set_prompt(OTHER))
    assert late
    with pytest.raises(TonearmError, match="ended before the change took effect"):
        late[0].result(timeout=0)
    assert stream.take.provenance.sections == ()
    with pytest.raises(TonearmError, match="has ended"):
        stream.set_prompt(OTHER)


@pytest.mark.parametrize("stop_at", range(7, 14))
def test_a_stream_stopped_soon_after_a_change_replays(windowed, tmp_path, stop_at):
    stream = windowed.stream(PROMPT, seconds=None, seed=5, chunk_seconds=0.04)
    _, (frame,) = play(stream, {6: [OTHER]}, stop_at)
    take = stream.take
    assert take.codes.shape[1] >= frame
    sections = [one.frame for one in take.provenance.sections]
    assert sections == ([frame] if take.codes.shape[1] > frame else [])
    assert_replays(take, windowed, tmp_path)


def test_negative_prompt_melody_audio_prompt_and_steering_stay(windowed, tmp_path):
    rng = np.random.default_rng(0)
    tones = [np.sin(np.arange(6400) / period) for period in (5, 8, 3)]
    windowed.vectors["watched"] = monitored_vector(windowed, "watched", 2)
    watched = Steer(vector="watched", strength=2.0, strategy="all-to-all", monitor={"every": 2})
    rising = Steer(vector="push", strength=1, schedule=Schedule.ramp(0, 2), gate=0.5)
    settings = dict(
        seed=5,
        steer=Steering(steers=(rising, watched)),
        negative="calm",
        continue_from=Clip(1e4 * rng.standard_normal((1, 640)), 1600),
        melody=Clip(np.concatenate(tones) * 0.4, 16000),
    )
    stream = windowed.stream(PROMPT, seconds=None, **settings)
    changes = {4: [OTHER], 12: [Control(target="guidance", value=5.0)], 14: [THIRD]}
    chunks, frames = play(stream, changes, stop_at=24)
    take = stream.take
    assert take.codes.shape[1] > 2 * WINDOW and take.provenance.negative == "calm"
    assert_same_audio(joined(chunks), take.clip)
    assert_replays(take, windowed, tmp_path)
    rate = windowed.shape.frame_rate
    for left_out in ("negative", "melody", "steer"):
        others = {key: value for key, value in settings.items() if key != left_out}
        other = windowed.generate(
            PROMPT,
            seconds=take.provenance.new_seconds,
            sections=[(frames[0] / rate, OTHER), (frames[2] / rate, THIRD)],
            **others,
        )
        assert not np.array_equal(other.codes[:, frames[2] :], take.codes[:, frames[2] :])


@pytest.mark.parametrize("negative", [None, THIRD, PROMPT])
def test_both_rows_of_a_twin_have_the_new_prompt_and_replay(model, tmp_path, negative):
    """A negative prompt equal to the prompt shares its text with it, and not with the next one."""
    stream = model.stream(
        PROMPT, seconds=None, seed=5, steer={"push": "raw:0"}, twin=True, negative=negative
    )
    changes = {3: [OTHER], 7: [Control.strength("push", 3.0)], 9: [THIRD]}
    chunks, frames = play(stream, changes, stop_at=16)
    first = frames[1]
    takes = stream.take, stream.plain_take
    assert np.array_equal(takes[0].codes[0, :first], takes[1].codes[0, :first])
    assert not np.array_equal(takes[0].codes[:, first:], takes[1].codes[:, first:])
    assert takes[0].provenance.sections == takes[1].provenance.sections
    assert_same_audio(joined(chunks), takes[0].clip)
    assert_same_audio(joined_plain(chunks), takes[1].clip)
    for take in takes:
        assert_replays(take, model, tmp_path)


def test_another_thread_may_change_the_prompt(windowed, tmp_path):
    stream = windowed.stream(PROMPT, seconds=None, seed=5, chunk_seconds=0.04)
    has_begun, frames = threading.Event(), []

    def change():
        has_begun.wait(30)
        for text in (OTHER, THIRD, PROMPT):
            frames.append(stream.set_prompt(text).result(60))
        stream.stop()

    thread = threading.Thread(target=change)
    thread.start()
    for _ in stream:
        has_begun.set()
    thread.join()
    assert len(frames) == 3 and frames == sorted(frames)
    assert {one.frame for one in stream.take.provenance.sections} <= set(frames)
    assert_replays(stream.take, windowed, tmp_path)


def test_a_stream_may_start_with_sections_and_change_them(windowed, tmp_path):
    rate = windowed.shape.frame_rate
    stream = windowed.stream(
        PROMPT, seconds=None, seed=5, sections=[(12 / rate, OTHER), (30 / rate, THIRD)]
    )
    _, (frame,) = play(stream, {6: ["a calm tune"]}, stop_at=16)
    assert 12 < frame < 30
    sections = [(one.frame, one.prompt) for one in stream.take.provenance.sections]
    assert sections == [(12, OTHER), (frame, "a calm tune"), (30, THIRD)]
    assert_replays(stream.take, windowed, tmp_path)


def test_prompts_that_cannot_be_are_refused(windowed, monkeypatch):
    stream = windowed.stream(PROMPT, seconds=1.2, seed=5)
    for prompt, message in (
        (" ", "the prompt is empty"),
        (3, "prompt 3 is of type int; give a text"),
        ("a " * 6000, "characters; write at most"),
    ):
        with pytest.raises(TonearmError, match=message):
            stream.set_prompt(prompt)
    monkeypatch.setattr(stream_settings, "MAX_SECTIONS", 1)
    changes = [stream.set_prompt(OTHER)]
    for number, _ in enumerate(stream):
        changes += [stream.set_prompt(THIRD)] if number in (1, 3) else []
    assert [change.exception(timeout=0) is None for change in changes] == [True, True, False]
    with pytest.raises(TonearmError, match="the most that a take records"):
        changes[-1].result(timeout=0)
    assert len(stream.take.provenance.sections) == 1
