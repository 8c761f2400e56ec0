"""A take that sounds while it is decoded: the same as generate's, turned live, and made again from its sidecar."""

import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.steering.vectors import vector_of
from tonearm.errors import TonearmError
from tonearm.replaying import replay
from tonearm.steering import Schedule, Steer, Steering

PROMPT = "a fast folk tune"


@pytest.fixture
def steered(melody):
    melody.vectors["push"] = vector_of(melody, "push")
    return melody


def audio(chunks):
    return np.concatenate([chunk.samples for chunk in chunks], axis=1)


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_chunks_joined_are_the_generated_take(model_of, variant):
    model = model_of(variant)
    stream = model.stream(PROMPT, seconds=1.2, seed=5, chunk_seconds=0.2)
    chunks = list(stream)
    take = model.generate(PROMPT, seconds=1.2, seed=5)
    assert (stream.take.codes == take.codes).all()
    assert len(chunks) >= 4
    assert [chunk.start for chunk in chunks] == pytest.approx(
        np.cumsum([0, *(chunk.samples.shape[1] for chunk in chunks[:-1])]) / take.clip.sample_rate
    )
    np.testing.assert_allclose(audio(chunks), take.clip.samples, atol=1e-5 * abs(take.clip.samples).max())


def test_turned_while_it_plays_it_changes_from_that_frame_and_replays_from_its_sidecar(steered, tmp_path):
    plain = steered.generate(PROMPT, seconds=1.2, seed=5)
    stream = steered.stream(PROMPT, seconds=1.2, seed=5, steer={"push": 0})
    frames = []
    for number, _ in enumerate(stream):
        if number == 0:
            turned = stream.set_strength("push", 3.0)
        elif number == 1:
            frames.append(turned.result(timeout=0))
    frame, codes = frames[0], stream.take.codes
    assert 5 < frame < 25
    assert (codes[0, :frame] == plain.codes[0, :frame]).all()
    assert (codes[:, frame:] != plain.codes[:, frame:]).any()
    (steer,) = stream.take.provenance.steering.steers
    rate = steered.checkpoint.shape.frame_rate
    assert steer.schedule.factors([(frame - 1) / rate, frame / rate]).tolist() == [0, 3]
    again = replay(stream.take.save(tmp_path / "played.wav"), model=steered)
    assert again.identical


def test_guidance_turned_while_it_plays_replays_from_its_sidecar(melody, tmp_path):
    plain = melody.generate(PROMPT, seconds=1.2, seed=5)
    stream = melody.stream(PROMPT, seconds=1.2, seed=5)
    for number, _ in enumerate(stream):
        if number == 0:
            turned = stream.set_guidance(9.0)
    frame, codes = turned.result(timeout=0), stream.take.codes
    assert (codes[0, :frame] == plain.codes[0, :frame]).all() and (codes[:, frame:] != plain.codes[:, frame:]).any()
    rate = melody.checkpoint.shape.frame_rate
    assert stream.take.provenance.sampling.sampling().guidance_at([(frame - 1) / rate, frame / rate]).tolist() == [3, 9]
    assert replay(stream.take.save(tmp_path / "played.wav"), model=melody).identical
    reference = melody.with_engine("reference")
    assert (replay(tmp_path / "played.json", model=reference).take.codes == codes).all()


def test_guidance_that_cannot_be_is_refused(melody):
    with pytest.raises(TonearmError, match="guidance -1 is not possible"):
        melody.stream(PROMPT, seconds=0.4).set_guidance(-1)
    with pytest.raises(TonearmError, match="started without guidance"):
        melody.stream(PROMPT, seconds=0.4, guidance=1.0).set_guidance(3.0)


def test_it_plays_on_beyond_the_window_turned_in_any_of_them(steered, monkeypatch, tmp_path):
    shape = replace(steered.shape, window_seconds=20 / steered.shape.frame_rate)
    monkeypatch.setattr(steered.checkpoint, "shape", shape)
    monkeypatch.setattr(steered, "shape", shape)
    stream = steered.stream(PROMPT, seconds=2.4, seed=5, steer={"push": 0}, chunk_seconds=0.04)
    turned, pieces = [], []
    for chunk in stream:
        pieces.append(chunk)
        turned.append(stream.set_strength("push", len(pieces) % 3))
    frames = [future.result(timeout=0) for future in turned if not future.exception()]
    assert len(frames) > 40 and all(0 <= b - a <= 4 for a, b in pairwise(frames))
    assert frames[0] < 20 < 32 < frames[-1]
    np.testing.assert_allclose(audio(pieces), stream.take.clip.samples, atol=1e-5 * abs(stream.take.clip.samples).max())
    assert replay(stream.take.save(tmp_path / "played.wav"), model=steered).identical


def test_a_schedule_given_at_the_start_stands_until_it_is_turned(steered, tmp_path):
    ramp = Steering(steers=(Steer(vector="push", strength=1.5, schedule=Schedule.ramp(0, 1.2)),))
    stream = steered.stream(PROMPT, seconds=1.2, seed=5, steer=ramp)
    for number, _ in enumerate(stream):
        if number == 1:
            stream.set_strength("push", -1.0)
    (steer,) = stream.take.provenance.steering.steers
    values = steer.schedule.factors(np.arange(30) / steered.checkpoint.shape.frame_rate)
    turned = int(np.argmax(values == -1))
    assert np.allclose(values[:turned], 1.5 * np.arange(turned) / 30) and (values[turned:] == -1).all()
    assert replay(stream.take.save(tmp_path / "played.wav"), model=steered).identical


def test_another_thread_may_turn_and_cancel(steered):
    stream = steered.stream(PROMPT, seconds=4, seed=5, steer={"push": 0}, chunk_seconds=0.04)
    heard, turned = threading.Event(), []

    def turn():
        heard.wait(10)
        turned.append(stream.set_strength("push", 1.0).result(10))
        stream.cancel()

    thread = threading.Thread(target=turn)
    thread.start()
    chunks = []
    for chunk in stream:
        chunks.append(chunk)
        heard.set()
    thread.join()
    assert turned and len(chunks) < 100
    with pytest.raises(TonearmError, match="not played to its end"):
        stream.take  # noqa: B018


def test_an_ended_stream_takes_no_turns(steered):
    stream = steered.stream(PROMPT, seconds=0.4, seed=5, steer={"push": 0})
    list(stream)
    with pytest.raises(TonearmError, match="has ended"):
        stream.set_strength("push", 1.0)
    with pytest.raises(TonearmError, match="played once"):
        list(stream)
    left = steered.stream(PROMPT, seconds=0.8, seed=5, steer={"push": 0}, chunk_seconds=0.04)
    playing = iter(left)
    next(playing)
    waiting = left.set_strength("push", 1.0)
    playing.close()
    with pytest.raises(TonearmError, match="ended before the change took effect"):
        waiting.result(timeout=0)


def test_mistakes_are_named(steered):
    stream = steered.stream(PROMPT, seconds=0.4, steer={"push": 0})
    for vector, strength, said in (
        ("pull", 1.0, "not in this stream"),
        ("push", 1e9, "beyond"),
        ("push", float("nan"), "finite"),
    ):
        with pytest.raises(TonearmError, match=said):
            stream.set_strength(vector, strength)
    with pytest.raises(TonearmError, match="chunks of 0 s are not possible"):
        steered.stream(PROMPT, chunk_seconds=0)
    with pytest.raises(TonearmError, match="engine reference cannot stream"):
        steered.with_engine("reference").stream(PROMPT)
    with pytest.raises(TonearmError, match="the prompt is empty"):
        steered.stream(" ")


def test_the_lookahead_is_stated(melody):
    stream = melody.stream(PROMPT, seconds=1.2, seed=5, chunk_seconds=0.2)
    decided = []
    for chunk in stream:
        decided.append((stream._decoding.position - 1) / melody.checkpoint.shape.frame_rate)
        assert decided[-1] - chunk.start <= stream.lookahead + 1e-9
