"""Streams with rewinds: changes act from the first frame of which no audio was made, and replay."""

import json

import numpy as np
import pytest
import torch

from tests.generation.streams import PROMPT, WINDOW, assert_same_audio, joined, joined_plain, play
from tests.musicgen.decode_requests import with_window
from tests.steering.vectors import monitored_vector, vector_of
from tonearm import Model, Steer, TonearmError
from tonearm.musicgen.delay import lags
from tonearm.musicgen.kept_codes import UNKNOWN, Rewind, kept_codes, rewind_of
from tonearm.replaying import replay
from tonearm.steering import Control

VARIANTS = ["small", "melody", "stereo-small"]
KNOBS = {"push": "raw:0", "other": "raw:0"}
SETTINGS = dict(seed=5, chunk_seconds=0.08, rewinds=True)
OTHER = "a slow jazz piece with flute and piano"


@pytest.fixture(params=VARIANTS)
def model(model_of, request):
    """A model with two vectors and a window of WINDOW frames."""
    found = model_of(request.param)
    for seed, name in enumerate(KNOBS):
        found.vectors[name] = vector_of(found, name, seed=seed)
    return with_window(found, WINDOW)


def push(strength: float) -> Control:
    return Control.strength("push", strength)


def assert_replays(model, takes, folder):
    for index, take in enumerate(takes):
        again = replay(take.save(folder / f"{index}.wav"), model=Model(model.checkpoint))
        assert again.identical and np.array_equal(again.take.codes, take.codes)
        assert again.take.provenance.rewinds == take.provenance.rewinds


@pytest.mark.parametrize("seconds", [2.4, None])
def test_a_change_acts_on_the_first_frame_without_audio(model, tmp_path, seconds):
    stream = model.stream(PROMPT, steer=KNOBS, seconds=seconds, **SETTINGS)
    made, rate = 0, model.shape.frame_rate
    for count, chunk in enumerate(stream, 1):
        made += chunk.samples.shape[1]
        if count == 9:
            samples, future = made, stream.set(push(3.0))
        if count == 20:
            stream.stop()
    frame, lookahead = future.result(timeout=0), stream._codecs[0].lookahead
    assert frame == samples * rate // model.shape.sample_rate + lookahead
    codes = stream.take.codes
    plain = model.generate(PROMPT, seconds=codes.shape[1] / rate, seed=5)
    assert np.array_equal(codes[:, :frame], plain.codes[:, :frame])
    assert not np.array_equal(codes[0, frame:], plain.codes[0, frame:])
    assert [one.frame for one in stream.take.provenance.rewinds] == [frame]
    assert_replays(model, [stream.take], tmp_path)


def test_the_delay_of_the_codebooks_no_longer_counts(model):
    """The same change, asked for at the same time, acts earlier by at least the codebook delay."""
    frames = []
    for rewinds in (False, True):
        settings = SETTINGS | {"rewinds": rewinds}
        stream = model.stream(PROMPT, steer=KNOBS, seconds=2.0, **settings)
        _, (frame,) = play(stream, {6: [push(3.0)]})
        frames.append((frame, stream.lookahead))
    (late, usual), (early, short) = frames
    delay = model.shape.delay_frames
    assert late - early >= delay
    assert usual - short == pytest.approx(delay / model.shape.frame_rate)


def test_a_change_to_the_same_value_changes_nothing(model):
    """Steps that are made again decide the same codes, bit for bit."""
    stream = model.stream(PROMPT, steer={"push": "raw:2"}, seconds=2.4, twin=True, **SETTINGS)
    chunks, frames = play(stream, {count: [push(2.0)] for count in range(2, 24)})
    assert len(set(frames)) > 10 and len(stream.take.provenance.rewinds) > 10
    still = model.stream(PROMPT, steer={"push": "raw:2"}, seconds=2.4, twin=True, seed=5)
    play(still)
    assert np.array_equal(stream.take.codes, still.take.codes)
    assert np.array_equal(stream.plain_take.codes, still.plain_take.codes)
    assert_same_audio(joined(chunks), stream.take.clip)


def random_changes(seed: int) -> dict[int, list[Control | str]]:
    """Changes of all kinds after most chunks."""
    generator = np.random.default_rng(seed)
    kinds = [
        lambda: push(generator.uniform(-3, 3)),
        lambda: Control.strength("other", generator.uniform(-3, 3)),
        lambda: Control(target="guidance", value=generator.uniform(1.5, 5)),
        lambda: Control(target="temperature", value=generator.uniform(0.5, 1.5)),
        lambda: Control(target="mute", value=float(generator.integers(2))),
        lambda: (PROMPT, OTHER)[generator.integers(2)],
    ]
    return {
        count: [kinds[generator.integers(len(kinds))]() for _ in range(generator.integers(3))]
        for count in range(1, 26)
    }


@pytest.mark.parametrize("seed", range(4))
def test_any_changes_replay_in_both_rows(model, tmp_path, seed):
    stream = model.stream(PROMPT, steer=KNOBS, seconds=None, twin=True, **SETTINGS)
    changes = random_changes(seed)
    chunks, frames = play(stream, changes, stop_at=28)
    assert frames == sorted(frames)
    assert not np.array_equal(stream.take.codes, stream.plain_take.codes)
    assert_replays(model, [stream.take, stream.plain_take], tmp_path)
    if not any(getattr(one, "target", "") == "mute" for here in changes.values() for one in here):
        assert_same_audio(joined(chunks), stream.take.clip)
        assert_same_audio(joined_plain(chunks), stream.plain_take.clip)


def test_the_plain_row_stays_the_plain_take(model):
    stream = model.stream(PROMPT, steer=KNOBS, seconds=2.4, twin=True, **SETTINGS)
    play(stream, {count: [push(count % 4 - 2)] for count in range(1, 20)})
    plain = model.generate(PROMPT, seconds=2.4, seed=5)
    assert np.array_equal(stream.plain_take.codes, plain.codes)
    assert not np.array_equal(stream.take.codes, plain.codes)


@pytest.mark.parametrize("text", ["push=0@set", "push=raw:2@gate:0.5"])
def test_levels_and_gates_replay(model, tmp_path, text):
    stream = model.stream(PROMPT, steer=text, seconds=2.0, **SETTINGS)
    is_level = "@set" in text
    change = Control.level if is_level else Control.strength
    play(stream, {count: [change("push", count / 4)] for count in range(3, 15, 2)})
    assert len(stream.take.provenance.rewinds) > 3
    assert_replays(model, [stream.take], tmp_path)


def test_rewinds_can_be_switched_while_the_stream_plays(model, tmp_path):
    stream = model.stream(PROMPT, steer=KNOBS, seconds=None, **SETTINGS)
    futures = []
    for count, _ in enumerate(stream, 1):
        stream.rewinds = count % 6 < 3
        futures.append(stream.set(push(count % 5 - 2)))
        if count == 24:
            stream.stop()
    assert 3 < len(stream.take.provenance.rewinds) < 15
    assert_replays(model, [stream.take], tmp_path)


def test_a_monitored_stream_is_not_rewound(model):
    model.vectors["probes"] = monitored_vector(model, "probes")
    steer = Steer(vector="probes", strength=1.0, monitor={})
    frames = []
    for rewinds in (False, True):
        settings = SETTINGS | {"rewinds": rewinds}
        stream = model.stream(PROMPT, steer=steer, seconds=2.0, **settings)
        _, (frame,) = play(stream, {6: [Control.strength("probes", 2.0)]})
        assert stream.take.provenance.rewinds == ()
        frames.append(frame)
    assert frames[0] == frames[1]


def test_a_changed_record_is_refused(model, tmp_path):
    stream = model.stream(PROMPT, steer=KNOBS, seconds=2.0, **SETTINGS)
    play(stream, {6: [push(3.0)], 9: [push(1.0)]})
    sidecar = stream.take.save(tmp_path / "take.wav").with_suffix(".json")
    content = json.loads(sidecar.read_text())

    def refusal(change) -> str:
        edited = json.loads(json.dumps(content))
        change(edited["rewinds"])
        sidecar.write_text(json.dumps(edited))
        with pytest.raises(TonearmError) as error:
            replay(sidecar, model=model)
        return str(error.value)

    size = model.shape.codebook_size
    assert "other numbers of codes" in refusal(lambda all: all[0]["codes"][-1].pop())
    assert f"has code {size}" in refusal(lambda all: all[0]["codes"][-1].__setitem__(0, size))
    assert "order of time" in refusal(lambda all: all.reverse())
    assert "order of time" in refusal(lambda all: all[1].update(frame=10_000))


def test_the_reference_engine_refuses_them(model, tmp_path):
    stream = model.stream(PROMPT, steer=KNOBS, seconds=0.8, **SETTINGS)
    play(stream, {3: [push(3.0)]})
    take = stream.take
    own = [one.rewind() for one in take.provenance.rewinds]
    with pytest.raises(TonearmError, match="use engine decoder"):
        model.with_engine("reference").reproduce(
            _request(model, take), take.provenance.batch, take.vectors, rewinds=own
        )


def _request(model, take):
    from tonearm.generation.request import TakeRequest

    provenance = take.provenance
    return TakeRequest(
        provenance.prompt,
        provenance.seed,
        provenance.steering,
        provenance.sampling.sampling(),
        seconds=provenance.new_seconds,
    )


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frame", [1, 2, 9])
def test_a_rewind_keeps_what_later_steps_decide(frame, channels):
    codes = torch.arange(80).reshape(8, 10)
    rewind = rewind_of(codes, frame, channels)
    found = kept_codes([(), (rewind,)], 8, channels)
    assert found is not None and found.shape == (2, 8, frame)
    assert (found[0] == UNKNOWN).all()
    for book, lag in enumerate(lags(8, channels)):
        for t in range(frame):
            is_later = t + lag >= frame  # than the step before the first codebook of `frame`
            assert found[1, book, t] == (codes[book, t] if is_later else UNKNOWN)


def test_no_rewinds_keep_nothing():
    assert kept_codes([(), ()], 4, 1) is None
    assert kept_codes([(Rewind(1, ((), (3,), (4,), (5,))),)], 4, 1).shape == (1, 4, 1)
