"""Streams: equal to generated takes, changed while they play, and replayed from their sidecars."""

import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from tests.generation.streams import PROMPT, WINDOW, assert_same_audio, joined, play
from tests.knobs.planted import knob_of
from tests.musicgen.decode_requests import with_window
from tests.steering.vectors import vector_of
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.replaying import replay
from tonearm.steering import (
    Calibration,
    Configuration,
    Control,
    Schedule,
    SignCalibration,
    Steer,
    Steering,
)
from tonearm.steering.vector import SteeringVector


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_the_chunks_joined_are_the_generated_take(model_of, variant):
    model = model_of(variant)
    stream = model.stream(PROMPT, seconds=1.2, seed=5, chunk_seconds=0.2)
    chunks = list(stream)
    take = model.generate(PROMPT, seconds=1.2, seed=5)
    assert (stream.take.codes == take.codes).all()
    assert len(chunks) >= 4
    lengths = [chunk.samples.shape[1] for chunk in chunks]
    starts = np.cumsum([0, *lengths[:-1]]) / take.clip.sample_rate
    assert [chunk.start for chunk in chunks] == pytest.approx(starts)
    assert_same_audio(joined(chunks), take.clip)


def test_a_strength_acts_from_its_frame_and_replays(steered, tmp_path):
    plain = steered.generate(PROMPT, seconds=1.2, seed=5)
    stream = steered.stream(PROMPT, seconds=1.2, seed=5, steer={"push": "raw:0"})
    _, (frame,) = play(stream, {1: [Control.strength("push", 3.0)]})
    codes = stream.take.codes
    assert 5 < frame < 25
    assert (codes[0, :frame] == plain.codes[0, :frame]).all()
    assert (codes[:, frame:] != plain.codes[:, frame:]).any()
    (steer,) = stream.take.provenance.steering.steers
    rate = steered.shape.frame_rate
    assert steer.schedule.factors([(frame - 1) / rate, frame / rate]).tolist() == [0, 3]
    assert replay(stream.take.save(tmp_path / "played.wav"), model=steered).identical


@pytest.mark.parametrize("seconds", [1.2, None])
def test_a_level_acts_from_its_frame_and_replays(windowed, tmp_path, seconds):
    """Two levels in one stream, with a share that is set, too."""
    settings = dict(seconds=seconds, seed=5, chunk_seconds=0.08)
    still = windowed.stream(PROMPT, steer="push=0@set", **settings)
    play(still, stop_at=20)
    stream = windowed.stream(PROMPT, steer="push=0@set", **settings)
    changes = {
        3: [Control.level("push", 6.0)],
        8: [Control.level("push", -4.5), Control.strength("push", 0.5)],
    }
    _, (first, second, third) = play(stream, changes, stop_at=20)
    assert 0 < first < second == third
    codes = stream.take.codes
    assert (codes[0, :first] == still.take.codes[0, :first]).all()
    assert (codes[:, first:] != still.take.codes[:, first : codes.shape[1]]).any()
    (steer,) = stream.take.provenance.steering.steers
    times = np.array([first - 1, first, second]) / windowed.shape.frame_rate
    assert (steer.level * steer.level_schedule.factors(times)).tolist() == [0, 6, -4.5]
    assert (steer.strength * steer.schedule.factors(times)).tolist() == [1, 1, 0.5]
    assert replay(stream.take.save(tmp_path / "played.wav"), model=windowed).identical


def test_a_level_is_of_a_vector_that_is_set_and_within_its_limits(steered):
    steered.vectors["other"] = vector_of(steered, "other", seed=1)
    stream = steered.stream(PROMPT, seconds=0.8, seed=5, steer="push=0@set,other=raw:0")
    for change, message in (
        (Control.level("other", 1), "has a strength in this stream; set strength/other"),
        (Control.level("none", 1), "not in this stream .* starts, none=0@set"),
        (Control.level("push", 1001), "level 1001 is beyond"),
        (Control.strength("push", -0.5), "strength -0.5 is not possible for set"),
        (Control.strength("push", 1.5), "strength 1.5 is not possible for set"),
    ):
        with pytest.raises(TonearmError, match=message):
            stream.set(change)
    assert stream.set_level("push", 3.0)


def test_a_gated_open_ended_stream_is_the_generated_take_and_replays(windowed, tmp_path):
    steer = Steer(vector="push", strength=2.0, gate=0.5)
    stream = windowed.stream(PROMPT, seconds=None, seed=5, steer=steer, chunk_seconds=0.12)
    play(stream, stop_at=20)
    seconds = stream.take.codes.shape[1] / windowed.shape.frame_rate
    expected = windowed.generate(PROMPT, seconds=seconds, seed=5, steer=steer)
    assert (stream.take.codes == expected.codes).all()
    changed = windowed.stream(PROMPT, seconds=None, seed=5, steer=steer, chunk_seconds=0.12)
    _, (frame,) = play(changed, {9: [Control.strength("push", -2.0)]}, stop_at=20)
    assert (changed.take.codes[0, :frame] == expected.codes[0, :frame]).all()
    assert (changed.take.codes != expected.codes).any()
    for number, one in enumerate((stream, changed)):
        assert replay(one.take.save(tmp_path / f"{number}.wav"), model=windowed).identical


def calibrated(vector, **signs):
    calibration = Calibration(**signs)
    info = vector.info.model_copy(update={"calibration": calibration})
    return SteeringVector(vector.directions, info)


UP = SignCalibration(strength=3.0, configuration=Configuration(layers=(1, 2), source_layer=1))
DOWN = SignCalibration(strength=2.0, configuration=Configuration(operator="rotate", source_layer=0))


def test_an_amount_moves_from_one_sign_to_the_other_and_replays(steered, tmp_path):
    steered.vectors["knob"] = calibrated(steered.vectors["push"], positive=UP, negative=DOWN)
    stream = steered.stream(PROMPT, seconds=1.2, seed=5, steer={"knob": 0.5})
    changes = {1: [Control.amount("knob", -1.0)], 3: [Control.amount("knob", 0.0)]}
    _, (first, second) = play(stream, changes)
    provenance = stream.take.provenance
    up, down = provenance.steering.steers
    assert (up.operator, up.layers) == ("add", (1, 2)) and down.operator == "rotate"
    times = [frame / steered.shape.frame_rate for frame in (0, first, second)]
    assert up.schedule.factors(times) == pytest.approx([1.5, 0, 0])
    assert down.schedule.factors(times) == pytest.approx([0, -2, 0])
    assert str(provenance.requested) == "knob +0.5"
    assert provenance.statement == "knob -1.00 to +0.50"
    assert replay(stream.take.save(tmp_path / "played.wav"), model=steered).identical
    still = steered.generate(PROMPT, seconds=1.2, seed=5, steer={"knob": 0.5})
    assert (stream.take.codes[0, :first] == still.codes[0, :first]).all()


def test_an_amount_of_0_whose_signs_failed_is_no_steer_and_the_stream_becomes_a_take(steered):
    failed = SignCalibration(failure="no effect")
    steered.vectors["knob"] = calibrated(steered.vectors["push"], positive=failed, negative=failed)
    steer = {"knob": 0, "push": "raw:0.5"}
    stream = steered.stream(PROMPT, seconds=0.4, seed=5, steer=steer)
    play(stream, {})
    assert stream.take.provenance.statement == "push raw +0.5"


def test_a_vector_is_set_in_the_way_in_which_the_stream_started(steered):
    failed = SignCalibration(failure="no effect")
    steered.vectors["knob"] = calibrated(steered.vectors["push"], positive=UP, negative=failed)
    stream = steered.stream(PROMPT, seconds=0.4, seed=5, steer={"knob": 0, "push": "raw:0"})
    for change, message in (
        (Control.amount("push", 1), "has a strength in this stream; set strength/push"),
        (Control.strength("knob", 1), "has an amount in this stream; set amount/knob"),
        (Control.amount("knob", -1), "its - sign has no amounts"),
        (Control.amount("knob", 11), "beyond"),
        (Control.amount("none", 1), "not in this stream"),
    ):
        with pytest.raises(TonearmError, match=message):
            stream.set(change)
    assert stream.set_amount("knob", 0.5)


def test_a_target_is_set_in_the_unit_of_the_knob_and_replays(steered, tmp_path):
    knob = knob_of(steered).renamed("knob")
    steered.vectors["knob"] = knob
    stream = steered.stream(PROMPT, seconds=1.2, seed=5, steer={"knob": "+1st"})
    for change, message in (
        (Control.physical("knob", 5), r"\+5\.0 st is outside its range, -4\.0 st to \+4\.0 st"),
        (Control.physical("none", 1), "not in this stream"),
    ):
        with pytest.raises(TonearmError, match=message):
            stream.set(change)
    _, (frame,) = play(stream, {1: [Control.physical("knob", -2)]})
    up, down = stream.take.provenance.steering.steers
    times = [0, frame / steered.shape.frame_rate]
    strength = knob.info.calibration.positive.strength
    assert up.schedule.factors(times) == pytest.approx([strength / 4, 0])
    assert down.schedule.factors(times) == pytest.approx([0, -strength / 2])
    assert str(stream.take.provenance.requested) == "knob +1 st"
    assert replay(stream.take.save(tmp_path / "played.wav"), model=steered).identical


def test_a_replayed_take_states_what_was_asked_for(melody, tmp_path):
    melody.vectors["brightness"] = knob_of(melody)
    take = melody.generate(PROMPT, steer="brightness=+2st", seconds=0.4, seed=5)
    stream = melody.stream(PROMPT, steer="brightness=+0st", seconds=0.8, seed=5, chunk_seconds=0.08)
    play(stream, {2: [Control.physical("brightness", 2.0)]})
    written = take.provenance.model_copy(update={"requested_prompt": "a tune"})
    assert stream.take.provenance.stated and take.provenance.requested
    for number, one in enumerate((take, stream.take, replace(take, provenance=written))):
        again = replay(one.save(tmp_path / f"{number}.wav"), model=melody)
        assert again.identical
        assert again.take.provenance.statement == one.provenance.statement
        for name in ("requested", "stated", "requested_prompt"):
            assert getattr(again.take.provenance, name) == getattr(one.provenance, name)


def test_a_strength_beyond_the_operator_is_refused_by_strength_and_by_amount(steered):
    turn = SignCalibration(strength=0.4, configuration=Configuration(operator="slerp"))
    steered.vectors["knob"] = calibrated(steered.vectors["push"], positive=turn, negative=turn)
    turned = Steer(vector="push", strength=0.0, operator="slerp")
    stream = steered.stream(PROMPT, seconds=0.8, seed=5, steer=[turned, "knob=0"])
    for change in (
        Control.strength("push", 1.1),
        Control.strength("push", -1.1),
        Control.amount("knob", 2.6),
        Control.amount("knob", -2.6),
    ):
        with pytest.raises(TonearmError, match=r"beyond ±1 of slerp"):
            stream.set(change)
    accepted = [Control.strength("push", -1.0), Control.amount("knob", 2.5)]
    play(stream, {1: accepted})
    first, up, down = stream.take.provenance.steering.steers
    assert [one.schedule.points[-1][1] for one in (first, up, down)] == [-1.0, 1.0, 0.0]


@pytest.mark.parametrize(("target", "value"), [("guidance", 9.0), ("temperature", 0.2)])
def test_a_sampling_setting_acts_from_its_frame_and_replays(melody, tmp_path, target, value):
    plain = melody.generate(PROMPT, seconds=1.2, seed=5)
    stream = melody.stream(PROMPT, seconds=1.2, seed=5)
    _, (frame,) = play(stream, {1: [Control(target=target, value=value)]})
    codes = stream.take.codes
    assert (codes[0, :frame] == plain.codes[0, :frame]).all()
    assert (codes[:, frame:] != plain.codes[:, frame:]).any()
    rate, recorded = melody.shape.frame_rate, stream.take.provenance.sampling
    times = [(frame - 1) / rate, frame / rate]
    before = {"guidance": 3.0, "temperature": 1.0}[target]
    values = getattr(recorded.sampling(), f"{target}_at")(times)
    assert values.tolist() == pytest.approx([before, value])
    other = {"guidance": "temperature", "temperature": "guidance"}[target]
    assert getattr(recorded, f"{other}_schedule") is None
    assert replay(stream.take.save(tmp_path / "played.wav"), model=melody).identical
    sidecar = tmp_path / "played.json"
    sidecar.write_text(sidecar.read_text().replace('"engine": "decoder"', '"engine": "reference"'))
    again = replay(sidecar, model=melody).take
    assert again.provenance.engine == "reference" and (again.codes == codes).all()


def test_temperature_0_takes_the_most_likely_codes(melody):
    most_likely = melody.generate(PROMPT, seconds=1.2, seed=9, temperature=0)
    greedy = melody.stream(PROMPT, seconds=1.2, seed=5, temperature=0)
    play(greedy)
    changed = melody.stream(PROMPT, seconds=1.2, seed=5)
    change = changed.set(Control(target="temperature", value=0))
    play(changed)
    assert change.result(timeout=0) == 0
    for stream in (greedy, changed):
        assert (stream.take.codes == most_likely.codes).all()


def test_several_settings_change_at_one_frame_and_replay(steered, tmp_path):
    controls = [
        Control.strength("push", 2.0),
        Control(target="guidance", value=5.0),
        Control(target="temperature", value=0.5),
    ]
    stream = steered.stream(PROMPT, seconds=1.2, seed=5, steer={"push": "raw:0.5"}, temperature=0.9)
    _, frames = play(stream, {2: controls})
    assert len(set(frames)) == 1
    take = stream.take
    assert take.provenance.sampling.temperature == 1.0
    assert take.provenance.sampling.temperature_schedule.factors([0.0]) == pytest.approx([0.9])
    assert replay(take.save(tmp_path / "played.wav"), model=steered).identical


def test_a_control_from_json_is_set(melody):
    stream = melody.stream(PROMPT, seconds=0.8, seed=5)
    control = Control.model_validate_json('{"target": "guidance", "value": 1.0}')
    _, (frame,) = play(stream, {1: [control]})
    assert isinstance(frame, int)


def test_impossible_guidance_is_refused(melody):
    with pytest.raises(TonearmError, match="guidance -1 is not possible"):
        melody.stream(PROMPT, seconds=0.4).set_guidance(-1)
    with pytest.raises(TonearmError, match="started without guidance"):
        melody.stream(PROMPT, seconds=0.4, guidance=1.0).set_guidance(3.0)


def test_strengths_act_in_every_window_and_replay(windowed, tmp_path):
    stream = windowed.stream(
        PROMPT, seconds=2.4, seed=5, steer={"push": "raw:0"}, chunk_seconds=0.04
    )
    futures, chunks = [], []
    for chunk in stream:
        chunks.append(chunk)
        futures.append(stream.set_strength("push", len(chunks) % 3))
    frames = [future.result(timeout=0) for future in futures if not future.exception()]
    assert len(frames) > 40 and all(0 <= b - a <= 4 for a, b in pairwise(frames))
    assert frames[0] < 20 < 32 < frames[-1]
    assert_same_audio(joined(chunks), stream.take.clip)
    assert replay(stream.take.save(tmp_path / "played.wav"), model=windowed).identical


def test_a_schedule_holds_until_the_strength_is_set(steered, tmp_path):
    ramp = Schedule.ramp(0, 1.2)
    steering = Steering(steers=(Steer(vector="push", strength=1.5, schedule=ramp),))
    stream = steered.stream(PROMPT, seconds=1.2, seed=5, steer=steering)
    _, (frame,) = play(stream, {2: [Control.strength("push", -1.0)]})
    (steer,) = stream.take.provenance.steering.steers
    values = steer.schedule.factors(np.arange(30) / steered.shape.frame_rate)
    assert np.allclose(values[:frame], 1.5 * np.arange(frame) / 30)
    assert (values[frame:] == -1).all()
    assert replay(stream.take.save(tmp_path / "played.wav"), model=steered).identical


def test_another_thread_may_set_a_strength_and_cancel(steered):
    stream = steered.stream(PROMPT, seconds=4, seed=5, steer={"push": "raw:0"}, chunk_seconds=0.04)
    has_begun, frames = threading.Event(), []

    def change():
        has_begun.wait(10)
        frames.append(stream.set_strength("push", 1.0).result(10))
        stream.cancel()

    thread = threading.Thread(target=change)
    thread.start()
    chunks = []
    for chunk in stream:
        chunks.append(chunk)
        has_begun.set()
    thread.join()
    assert frames and len(chunks) < 100
    with pytest.raises(TonearmError, match="not played to its end"):
        stream.take  # noqa: B018


def test_an_ended_stream_refuses_changes(steered):
    stream = steered.stream(PROMPT, seconds=0.4, seed=5, steer={"push": "raw:0"})
    list(stream)
    with pytest.raises(TonearmError, match="has ended"):
        stream.set_strength("push", 1.0)
    with pytest.raises(TonearmError, match="played once"):
        list(stream)
    closed = steered.stream(
        PROMPT, seconds=0.8, seed=5, steer={"push": "raw:0"}, chunk_seconds=0.04
    )
    playing = iter(closed)
    next(playing)
    pending = closed.set_strength("push", 1.0)
    playing.close()
    with pytest.raises(TonearmError, match="ended before the change took effect"):
        pending.result(timeout=0)


def test_mistakes_are_refused(steered):
    stream = steered.stream(PROMPT, seconds=0.4, steer={"push": "raw:0"})
    for vector, strength, message in (
        ("pull", 1.0, "not in this stream"),
        ("push", 1e9, "beyond"),
        ("push", float("nan"), "finite"),
    ):
        with pytest.raises(TonearmError, match=message):
            stream.set_strength(vector, strength)
    for chunk_seconds in (0, 0.01, 11, float("nan")):
        with pytest.raises(TonearmError, match=r"chunks of .* s are not possible"):
            steered.stream(PROMPT, chunk_seconds=chunk_seconds)
    with pytest.raises(TonearmError, match="engine reference cannot stream"):
        steered.with_engine("reference").stream(PROMPT)
    with pytest.raises(TonearmError, match="the prompt is empty"):
        steered.stream(" ")


def test_a_frame_is_decided_at_most_the_lookahead_before_its_chunk(melody):
    stream = melody.stream(PROMPT, seconds=1.2, seed=5, chunk_seconds=0.2)
    for chunk in stream:
        decided = (stream._decoding.position - 1) / melody.shape.frame_rate
        assert decided - chunk.start <= stream.lookahead + 1e-9


# Mute


def test_mute_silences_exactly_the_samples_between_its_frames(steered, tmp_path):
    mute, restore = (Control(target="mute", value=value) for value in (1, 0))
    settings = {"seconds": 1.6, "seed": 5, "chunk_seconds": 0.08}
    plain = steered.stream(PROMPT, **settings)
    expected, _ = play(plain)
    muted = steered.stream(PROMPT, **settings)
    chunks, (first, last) = play(muted, {3: [mute], 9: [restore]})
    hop = steered.shape.sample_rate // steered.shape.frame_rate
    samples, whole = joined(chunks), joined(expected)
    assert 0 < first < last < 40
    assert (samples[:, first * hop : last * hop] == 0).all()
    assert (whole[:, first * hop : last * hop] != 0).all(0).mean() > 0.99
    assert np.array_equal(samples[:, : first * hop], whole[:, : first * hop])
    assert np.array_equal(samples[:, last * hop :], whole[:, last * hop :])
    # The take keeps the music, and its sidecar does not depend on muting.
    assert np.array_equal(muted.take.clip.samples, plain.take.clip.samples)
    assert muted.take.provenance == plain.take.provenance
    assert replay(muted.take.save(tmp_path / "muted.wav"), model=steered).identical


def test_mute_until_the_end_silences_the_rest(melody):
    stream = melody.stream(PROMPT, seconds=1.2, seed=5, chunk_seconds=0.08)
    chunks, (frame,) = play(stream, {2: [Control(target="mute", value=1)]})
    hop = melody.shape.sample_rate // melody.shape.frame_rate
    samples = joined(chunks)
    assert samples.shape[1] == 30 * hop
    assert (samples[:, frame * hop :] == 0).all() and samples[:, : frame * hop].any()


def test_a_mute_that_has_ended_is_released(melody):
    stream = melody.stream(PROMPT, seconds=4, seed=5, chunk_seconds=0.08)
    toggles = {index: [Control(target="mute", value=index % 2)] for index in range(1, 40)}
    chunks, frames = play(stream, toggles)
    hop, samples = melody.shape.sample_rate // melody.shape.frame_rate, joined(chunks)
    assert len(set(frames)) > 20 and len(stream._settings._mutes) < 10
    for index, (first, last) in enumerate(pairwise(frames), start=1):
        is_silent = (samples[:, first * hop : last * hop] == 0).all()
        assert first == last or is_silent == bool(index % 2)


# Open-ended streams


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_an_open_ended_stream_equals_one_of_the_length_at_which_it_is_stopped(
    model_of, tmp_path, variant
):
    model = with_window(model_of(variant), WINDOW)
    stream = model.stream(PROMPT, seconds=None, seed=5, chunk_seconds=0.2)
    chunks, _ = play(stream, stop_at=14)
    frames = stream.take.codes.shape[1]
    assert frames > 3 * WINDOW
    assert_same_audio(joined(chunks), stream.take.clip)
    seconds = frames / model.shape.frame_rate
    fixed = model.stream(PROMPT, seconds=seconds, seed=5)
    play(fixed)
    generated = model.generate(PROMPT, seconds=seconds, seed=5)
    assert (stream.take.codes == fixed.take.codes).all()
    assert (stream.take.codes == generated.codes).all()
    provenance = stream.take.provenance
    assert (provenance.frames, provenance.new_seconds) == (frames, pytest.approx(seconds))
    again = replay(stream.take.save(tmp_path / "open.wav"), model=model)
    assert again.identical and (again.take.codes == stream.take.codes).all()


@pytest.mark.parametrize("stop_at", range(1, 16, 2))
def test_an_open_ended_stream_may_be_stopped_anywhere_in_a_window(windowed, stop_at):
    stream = windowed.stream(PROMPT, seconds=None, seed=5, chunk_seconds=0.12)
    chunks, _ = play(stream, stop_at=stop_at)
    frames = stream.take.codes.shape[1]
    expected = windowed.generate(PROMPT, seconds=frames / windowed.shape.frame_rate, seed=5)
    assert (stream.take.codes == expected.codes).all()
    assert_same_audio(joined(chunks), expected.clip)


def test_a_stream_that_is_stopped_before_it_begins_has_the_shortest_length(melody):
    stream = melody.stream(PROMPT, seconds=None, seed=5)
    stream.stop()
    list(stream)
    assert stream.take.codes.shape[1] == melody.shape.min_frames


def test_a_stream_of_given_length_may_be_stopped_early(windowed, tmp_path):
    stream = windowed.stream(PROMPT, seconds=8, seed=5, chunk_seconds=0.2)
    play(stream, stop_at=3)
    frames = stream.take.codes.shape[1]
    assert frames < 60
    expected = windowed.generate(PROMPT, seconds=frames / windowed.shape.frame_rate, seed=5)
    assert (stream.take.codes == expected.codes).all()
    assert replay(stream.take.save(tmp_path / "early.wav"), model=windowed).identical


@pytest.mark.parametrize("numbers", [(1, 2, 3), (5, 11), (4, 9, 17, 18)])
def test_strengths_set_at_any_frame_of_an_open_ended_stream_act_and_replay(
    windowed, tmp_path, numbers
):
    plain = windowed.stream(PROMPT, seconds=None, seed=5, chunk_seconds=0.12)
    play(plain, stop_at=20)
    stream = windowed.stream(
        PROMPT, seconds=None, seed=5, chunk_seconds=0.12, steer={"push": "raw:0"}
    )
    changes = {
        number: [Control.strength("push", 3.0 * (-1) ** i)] for i, number in enumerate(numbers)
    }
    _, frames = play(stream, changes, stop_at=20)
    codes = stream.take.codes
    first = frames[0]
    assert (codes[0, :first] == plain.take.codes[0, :first]).all()
    assert (codes[:, first:] != plain.take.codes[:, first : codes.shape[1]]).any()
    (steer,) = stream.take.provenance.steering.steers
    times = np.array(frames) / windowed.shape.frame_rate
    assert steer.schedule.factors(times).tolist() == [3.0 * (-1) ** i for i in range(len(frames))]
    assert replay(stream.take.save(tmp_path / "open.wav"), model=windowed).identical


def test_an_open_ended_stream_continues_audio_follows_a_melody_and_replays(windowed, tmp_path):
    rng = np.random.default_rng(0)
    prompt = Clip(1e4 * rng.standard_normal((1, 640)), 1600)
    tone = Clip(np.sin(np.arange(12800) / 5) * 0.4, 16000)
    steering = Steering(steers=(Steer(vector="push", strength=1, schedule=Schedule.ramp(0, 2)),))
    stream = windowed.stream(
        PROMPT,
        seconds=None,
        seed=5,
        steer=steering,
        negative="calm",
        continue_from=prompt,
        melody=tone,
    )
    chunks, _ = play(
        stream,
        {12: [Control(target="temperature", value=0.5)], 20: [Control.strength("push", -1)]},
        24,
    )
    take = stream.take
    assert take.codes.shape[1] > 2 * WINDOW
    assert take.provenance.new_seconds == pytest.approx(take.seconds - 0.4)
    assert_same_audio(joined(chunks), take.clip)
    assert replay(take.save(tmp_path / "open.wav"), model=windowed).identical


def test_the_memory_of_an_open_ended_stream_does_not_grow_but_for_its_codes(windowed):
    stream = windowed.stream(
        PROMPT, seconds=None, seed=5, steer={"push": "raw:0"}, chunk_seconds=0.2
    )
    sizes = []
    for number, _ in enumerate(stream):
        codec, state = stream._codecs[0], stream._decoding.state
        sizes.append(
            [
                codec.latents.kept.shape[-1],
                codec.outputs.kept.shape[-1],
                0 if state is None else state.keys.shape[3],
            ]
        )
        if number == 40:
            stream.stop()
    early, late = np.array(sizes[5:20]).max(0), np.array(sizes[20:]).max(0)
    assert (late <= early).all()
    assert stream.take.codes.shape[1] > 190


def test_a_stream_with_guidance_off_from_the_start_replays(steered, tmp_path):
    steering = Steering(steers=(Steer(vector="push", strength=1.0, branch="unconditional"),))
    stream = steered.stream(PROMPT, seconds=0.8, seed=5, steer=steering, negative="a slow tune")
    change = stream.set_guidance(1.0)
    list(stream)
    assert change.result(timeout=0) == 0
    assert stream.take.provenance.batch.guided
    assert replay(stream.take.save(tmp_path / "played.wav"), model=steered).identical


def test_a_stream_stopped_before_a_schedule_replays(steered, tmp_path):
    late = Steer(vector="push", strength=1.0, schedule=Schedule.window(2.0, 3.0))
    stream = steered.stream(PROMPT, seconds=4, seed=5, steer=late)
    play(stream, stop_at=1)
    assert stream.take.clip.seconds < 2
    assert replay(stream.take.save(tmp_path / "played.wav"), model=steered).identical


def test_a_cancelled_change_is_left_out(steered):
    stream = steered.stream(PROMPT, seconds=0.8, seed=5, steer={"push": "raw:0"})
    dropped, kept = stream.set_strength("push", 3.0), stream.set_guidance(2.0)
    assert dropped.cancel()
    list(stream)
    assert kept.result(timeout=0) == 0
    assert stream.take.provenance.steering.steers[0].schedule is None


def test_a_change_may_be_cancelled_when_the_stream_ends(steered):
    stream = steered.stream(PROMPT, seconds=0.8, seed=5, steer={"push": "raw:0"})
    chunks = iter(stream)
    next(chunks)
    dropped, late = stream.set_strength("push", 3.0), stream.set_guidance(2.0)
    assert dropped.cancel()
    chunks.close()
    with pytest.raises(TonearmError, match="ended before the change"):
        late.result(timeout=0)


def test_a_callback_may_set_the_next_value(steered):
    stream = steered.stream(PROMPT, seconds=0.8, seed=5, steer={"push": "raw:0"})
    frames, refused = [], []

    def again(done):
        if not done.exception():
            frames.append(done.result())
        try:
            stream.set_strength("push", len(frames)).add_done_callback(again)
        except TonearmError as error:
            refused.append(str(error))

    stream.set_strength("push", 0).add_done_callback(again)
    player = threading.Thread(target=lambda: list(stream), daemon=True)
    player.start()
    player.join(60)
    assert not player.is_alive()
    assert frames == list(range(len(frames))) and len(frames) > 10
    assert refused and "has ended" in refused[-1]


def test_changes_of_a_stream_that_is_never_played_are_refused(steered):
    stream = steered.stream(PROMPT, seconds=0.8, seed=5, steer={"push": "raw:0"})
    change = stream.set_strength("push", 1.0)
    stream.cancel()
    with pytest.raises(TonearmError, match="ended before the change"):
        change.result(timeout=0)
    with pytest.raises(TonearmError, match="has ended"):
        stream.set_strength("push", 1.0)
    assert list(stream) == []
