"""Twin streams: a steered and a plain row in one batch, with the same noise."""

import numpy as np
import pytest

from tests.generation.streams import PROMPT, WINDOW, assert_same_audio, joined, joined_plain, play
from tests.measures.sounds import noise
from tests.musicgen.decode_requests import with_window
from tests.steering.vectors import monitored_vector, vector_of
from tonearm import Model, Steer, Steering, TonearmError
from tonearm.replaying import replay
from tonearm.steering import Control

VARIANTS = ["small", "melody", "stereo-small"]
KNOBS = {"push": "raw:0", "other": "raw:0"}


def push(strength: float) -> Control:
    return Control.strength("push", strength)


@pytest.fixture(params=VARIANTS)
def model(model_of, request):
    """A model with two vectors and a window of WINDOW frames."""
    found = model_of(request.param)
    for seed, name in enumerate(KNOBS):
        found.vectors[name] = vector_of(found, name, seed=seed)
    return with_window(found, WINDOW)


def test_rows_are_bit_identical_while_all_strengths_are_0(model):
    stream = model.stream(PROMPT, steer=KNOBS, seconds=2.4, seed=5, twin=True)
    chunks, _ = play(stream)
    assert all(np.array_equal(chunk.samples, chunk.plain) for chunk in chunks)
    assert np.array_equal(stream.take.codes, stream.plain_take.codes)
    assert stream.take.provenance.audio_sha256 == stream.plain_take.provenance.audio_sha256


def test_rows_equal_streams_of_their_own(model):
    """The steered row and the plain one, each decoded alone."""
    settings = dict(seconds=2.4, seed=5)
    changes = {3: [push(3.0)], 9: [Control.strength("other", -2.0), push(0.0)]}
    twin = model.stream(PROMPT, steer=KNOBS, twin=True, **settings)
    chunks, frames = play(twin, changes)
    alone = model.stream(PROMPT, steer=KNOBS, **settings)
    alone_chunks, alone_frames = play(alone, changes)
    assert frames == alone_frames
    assert np.array_equal(twin.take.codes, alone.take.codes)
    plain = model.generate(PROMPT, **settings)
    assert np.array_equal(twin.plain_take.codes, plain.codes)
    first = frames[0]
    assert np.array_equal(twin.take.codes[0, :first], plain.codes[0, :first])
    assert not np.array_equal(twin.take.codes[:, first:], plain.codes[:, first:])
    assert_same_audio(joined(chunks), alone.take.clip)
    assert_same_audio(joined_plain(chunks), plain.clip)
    assert all(chunk.plain is None for chunk in alone_chunks)


@pytest.mark.parametrize("seconds", [2.4, None])
def test_both_takes_replay(model, tmp_path, seconds):
    changes = {
        3: [push(3.0), Control(target="guidance", value=5.0)],
        9: [Control(target="temperature", value=0.6), push(-2.0)],
    }
    stream = model.stream(
        PROMPT, steer=KNOBS, seconds=seconds, seed=5, twin=True, negative="a loud piece"
    )
    play(stream, changes, stop_at=20)
    takes = [stream.take, stream.plain_take]
    assert not np.array_equal(takes[0].codes, takes[1].codes)
    for row, take in enumerate(takes):
        batch = take.provenance.batch
        assert (batch.size, batch.row, batch.codec_rows) == (2, row, 1)
        again = replay(take.save(tmp_path / f"{row}.wav"), model=Model(model.checkpoint))
        assert again.identical and np.array_equal(again.take.codes, take.codes)
        assert again.take.provenance.batch == batch
    plain = takes[1].provenance
    assert plain.steering == Steering() and plain.vectors == {} and plain.requested is None
    assert plain.sampling == takes[0].provenance.sampling


@pytest.mark.parametrize(("target", "value"), [("guidance", 9.0), ("temperature", 0.2)])
def test_guidance_and_temperature_act_on_both_rows(steered, target, value):
    stream = steered.stream(PROMPT, steer={"push": "raw:0"}, seconds=1.2, seed=5, twin=True)
    chunks, (frame,) = play(stream, {1: [Control(target=target, value=value)]})
    unchanged = steered.generate(PROMPT, seconds=1.2, seed=5)
    assert np.array_equal(joined(chunks), joined_plain(chunks))
    assert np.array_equal(stream.plain_take.codes[0, :frame], unchanged.codes[0, :frame])
    assert not np.array_equal(stream.plain_take.codes[:, frame:], unchanged.codes[:, frame:])


def test_mute_silences_both_rows(steered):
    stream = steered.stream(PROMPT, steer={"push": "raw:2"}, seconds=1.2, seed=5, twin=True)
    chunks, (frame,) = play(stream, {2: [Control(target="mute", value=1)]})
    first = frame * steered.shape.sample_rate // steered.shape.frame_rate
    for samples in (joined(chunks), joined_plain(chunks)):
        assert samples[:, :first].any() and not samples[:, first:].any()


@pytest.mark.parametrize(
    "steer",
    [
        Steer(vector="push", strength=0.5, operator="rotate", strategy="all-to-all"),
        Steer(vector="push", operator="set", level=3.0, strategy="all-to-all"),
        Steer(vector="push", strength=2.0, gate=0.5),
        Steer(vector="push", strength=2.0, branch="unconditional"),
        Steer(vector="push", strength=2.0, positions="all"),
        Steer(vector="watched", strength=2.0, strategy="all-to-all", monitor={"every": 2}),
    ],
    ids=["rotate", "set", "gate", "unconditional", "all positions", "monitor"],
)
def test_no_kind_of_steer_acts_on_the_plain_row(windowed, tmp_path, steer):
    windowed.vectors["watched"] = monitored_vector(windowed, "watched", 2)
    settings = dict(seconds=1.6, seed=5, continue_from=noise())
    stream = windowed.stream(PROMPT, steer=steer, twin=True, **settings)
    play(stream)
    plain = windowed.generate(PROMPT, **settings)
    steered = windowed.generate(PROMPT, steer=steer, **settings)
    assert np.array_equal(stream.plain_take.codes, plain.codes)
    assert np.array_equal(stream.take.codes, steered.codes)
    assert not np.array_equal(steered.codes, plain.codes)
    assert stream.plain_take.acted == {}
    for name, take in (("steered", stream.take), ("plain", stream.plain_take)):
        assert replay(take.save(tmp_path / f"{name}.wav"), model=windowed).identical


def test_a_stream_without_a_twin_has_no_plain_take(steered):
    stream = steered.stream(PROMPT, seconds=0.4, seed=5)
    play(stream)
    with pytest.raises(TonearmError, match="no plain twin; start it with twin=True"):
        stream.plain_take  # noqa: B018
    unplayed = steered.stream(PROMPT, seconds=0.4, seed=5, twin=True)
    with pytest.raises(TonearmError, match="not played to its end"):
        unplayed.plain_take  # noqa: B018
    with pytest.raises(TonearmError, match="twin"):
        steered.stream(PROMPT, seconds=0.4, twin=1)


# Projections


def test_projections_show_what_acts_and_that_the_rows_are_equal_while_nothing_does(windowed):
    windowed.vectors["unscaled"] = vector_of(windowed, "unscaled", seed=1, frame_scales=None)
    steers = {"push": "raw:0", "unscaled": "raw:0"}
    stream = windowed.stream(PROMPT, steer=steers, seconds=2.4, seed=5, twin=True)
    assert stream.projections == {}
    differences = []
    for number, _ in enumerate(stream):
        found = stream.projections
        assert list(found) == list(steers)
        assert (found["push"].in_deviations, found["unscaled"].in_deviations) == (True, False)
        differences.append(found["push"].value - found["push"].plain)
        if number == 8:
            stream.set_strength("push", 3.0)
    assert not any(differences[:9]) and all(differences[9:])
    assert stream.projections["push"].value - stream.projections["push"].plain == differences[-1]


def test_a_stream_without_a_twin_has_projections_of_its_row(steered):
    stream = steered.stream(PROMPT, steer={"push": "raw:0"}, seconds=0.4, seed=5)
    play(stream)
    assert stream.projections["push"].plain is None
    assert steered.stream(PROMPT, seconds=0.4).projections == {}
