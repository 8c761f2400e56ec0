"""Streams that fail while they play: their takes hold all frames that were decided, and replay."""

import numpy as np
import pytest

from tests.generation.streams import PROMPT, WINDOW, play
from tests.musicgen.decode_requests import with_window
from tests.steering.vectors import monitored_vector, vector_of
from tonearm import Model, Steer, TonearmError
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder, DecoderState
from tonearm.musicgen.streaming_codec import StreamingCodec
from tonearm.replaying import replay
from tonearm.steering import Control

OTHER = "a slow jazz piece with flute and piano"
CHANGES = {
    2: [Control.strength("push", 2.0)],
    5: [OTHER, Control(target="temperature", value=0.7)],
    9: [Control.strength("push", -1.0)],
    12: [PROMPT],
}


@pytest.fixture(params=["small", "melody", "stereo-small"])
def model(model_of, request):
    """A model with a vector and a window of WINDOW frames."""
    found = model_of(request.param)
    found.vectors["push"] = vector_of(found, "push")
    return with_window(found, WINDOW)


def plant(monkeypatch, owner: type, method: str, number: int) -> None:
    """Make call `number` of a method fail, once."""
    original, calls = getattr(owner, method), []

    def failing(*arguments, **named):
        calls.append(None)
        if len(calls) == number:
            raise RuntimeError("planted")
        return original(*arguments, **named)

    monkeypatch.setattr(owner, method, failing)


def fail(model, steer="push=raw:0", rewinds=False, changes=CHANGES):
    """Play a twin stream until it fails."""
    stream = model.stream(
        PROMPT, steer=steer, seconds=None, seed=5, chunk_seconds=0.08, twin=True, rewinds=rewinds
    )
    with pytest.raises(RuntimeError, match="planted"):
        play(stream, changes)
    return stream


def assert_replay(model, takes, folder):
    for index, take in enumerate(takes):
        again = replay(take.save(folder / f"{index}.wav"), model=Model(model.checkpoint))
        assert again.identical and np.array_equal(again.take.codes, take.codes)


@pytest.mark.parametrize("rewinds", [False, True])
@pytest.mark.parametrize("number", [9, 17, 24, 40, 57])
def test_a_step_that_fails_leaves_a_take_of_the_frames_before(
    model, monkeypatch, tmp_path, number, rewinds
):
    plant(monkeypatch, DecoderState, "forward", number)
    stream = fail(model, rewinds=rewinds)
    assert_replay(model, [stream.take, stream.plain_take], tmp_path)
    last, delay = stream.take.provenance.rewinds[-1].frame, model.shape.delay_frames
    assert stream.take.codes.shape[1] == last
    assert rewinds or last > number - 4 * (delay + 1)  # each prompt needs the delayed steps, too


@pytest.mark.parametrize("number", [2, 3])
def test_a_window_that_cannot_be_opened_leaves_a_take_of_those_before(
    model, monkeypatch, tmp_path, number
):
    plant(monkeypatch, Decoder, "begin", number)
    stream = fail(model)
    assert_replay(model, [stream.take, stream.plain_take], tmp_path)


def test_changes_are_answered_where_the_rewind_for_them_fails(model, monkeypatch):
    plant(monkeypatch, Decoding, "rewind", 1)
    stream = model.stream(
        PROMPT, steer="push=raw:0", seconds=None, seed=5, chunk_seconds=0.08, rewinds=True
    )
    changes = []
    with pytest.raises(RuntimeError, match="planted"):
        for _ in stream:
            changes += [stream.set_strength("push", 1.0), stream.set_guidance(2.0)]
    assert changes and all(one.done() for one in changes)
    assert str(changes[-1].exception()) == "planted"


@pytest.mark.parametrize("is_monitored", [False, True])
def test_a_codec_that_fails_leaves_a_take_of_all_frames(model, monkeypatch, tmp_path, is_monitored):
    plant(monkeypatch, StreamingCodec, "push", 15)
    steer = monitored(model) if is_monitored else "push=raw:0"
    stream = fail(model, steer, changes={} if is_monitored else CHANGES)
    assert_replay(model, [stream.take, stream.plain_take], tmp_path)
    assert not stream.take.provenance.rewinds


def monitored(model) -> Steer:
    model.vectors["probes"] = monitored_vector(model, "probes")
    return Steer(vector="probes", strength=1.0, monitor={})


def test_a_step_that_cannot_be_made_again_leaves_no_take_and_its_error_is_named(model, monkeypatch):
    plant(monkeypatch, DecoderState, "forward", 20)
    stream = fail(model, monitored(model), changes={})
    with pytest.raises(TonearmError, match="the stream failed \\(RuntimeError: planted\\)"):
        stream.take  # noqa: B018


def test_a_stream_that_fails_before_the_shortest_clip_leaves_no_take(model, monkeypatch):
    plant(monkeypatch, DecoderState, "forward", 2)
    with pytest.raises(TonearmError, match="planted"):
        fail(model).take  # noqa: B018
