"""Takes and streams with monitored steers: what acted is recorded, and a replay acts likewise."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.generation.streams import joined, play
from tests.measures.sounds import noise
from tests.steering.vectors import monitored_vector
from tonearm import Model, Steer, Steering, TakeRequest, TonearmError, compare
from tonearm.generation.provenance import read_sidecar
from tonearm.replaying import replay
from tonearm.steering import Control

PROMPT = "a fast folk tune"
STEER = Steer(vector="m", strength=2.0, strategy="all-to-all", monitor={"every": 2})
STEERING = Steering(steers=(STEER,))


@pytest.fixture(params=["small", "melody"])
def model(model_of, request):
    found = model_of(request.param)
    found.vectors["m"] = monitored_vector(found, "m", 2)
    return found


def test_a_take_holds_the_strengths_that_acted_and_its_sidecar_their_share(model, tmp_path):
    take = model.generate(PROMPT, steer=STEERING, seconds=0.8, seed=3)
    strengths = take.acted[0]
    assert strengths.shape == (take.provenance.frames,) and strengths.max() <= 2
    (record,) = take.provenance.monitored
    assert record.steer == 0
    assert record.acted == pytest.approx((strengths != 0).mean(), abs=1e-6)
    assert 0 < record.acted < 0.5
    saved = read_sidecar(take.save(tmp_path / "a.wav"))
    assert saved.monitored == (record,) and saved.steering.steers[0].monitor == STEER.monitor
    plain = model.generate(PROMPT, seconds=0.8, seed=3)
    assert plain.provenance.monitored == () and plain.acted == {}


def test_the_share_is_of_new_frames(model):
    take = model.generate(PROMPT, steer=STEERING, seconds=0.4, seed=3, continue_from=noise())
    new = round(0.4 * model.shape.frame_rate)
    assert not take.acted[0][:-new].any() and take.acted[0][-new] == 2
    (record,) = take.provenance.monitored
    assert record.acted == pytest.approx((take.acted[0][-new:] != 0).mean(), abs=1e-6)


@pytest.mark.parametrize("kind", ["alone", "after audio", "middle of a batch"])
def test_a_monitored_take_replays_bit_for_bit(model, tmp_path, kind):
    if kind == "middle of a batch":
        steerings = [Steering(), STEERING, STEERING]
        requests = [
            TakeRequest(PROMPT, 5 + row, steering, seconds=0.4 + 0.2 * row)
            for row, steering in enumerate(steerings)
        ]
        take = list(model.generate_batch(requests))[1]
    else:
        prompt = {"continue_from": noise()} if kind == "after audio" else {}
        take = model.generate(PROMPT, steer=STEERING, seconds=0.6, seed=3, **prompt)
    again = replay(take.save(tmp_path / "a.wav"), model=Model(model.checkpoint))
    assert again.identical and np.array_equal(again.take.acted[0], take.acted[0])
    assert again.take.provenance.monitored == take.provenance.monitored


def test_an_open_ended_stream_after_audio_is_monitored_and_replays(model, tmp_path):
    """The audio prompt is longer than the tables of a stream without a length."""
    stream = model.stream(
        PROMPT, steer=STEERING, seconds=None, seed=3, continue_from=noise(), chunk_seconds=0.08
    )
    play(stream, stop_at=8)
    again = replay(stream.take.save(tmp_path / "a.wav"), model=Model(model.checkpoint))
    assert again.identical and np.array_equal(again.take.acted[0], stream.take.acted[0])
    assert stream.take.acted[0].any()


def test_both_engines_record_the_same(small):
    small.vectors["m"] = monitored_vector(small, "m", 2)
    reference = Model(small.checkpoint, "reference")
    reference.vectors["m"] = small.vectors["m"]
    first, second = (
        one.generate(PROMPT, steer=STEERING, seconds=0.6, seed=3) for one in (small, reference)
    )
    assert np.array_equal(first.codes, second.codes)
    assert first.provenance.monitored == second.provenance.monitored
    np.testing.assert_allclose(first.acted[0], second.acted[0], atol=1e-4)


def test_a_stream_is_the_take_and_live_changes_replay(model, tmp_path):
    settings = dict(seconds=0.8, seed=3)
    take = model.generate(PROMPT, steer=STEERING, **settings)
    stream = model.stream(PROMPT, steer=STEERING, **settings)
    chunks, _ = play(stream)
    assert np.array_equal(stream.take.codes, take.codes)
    assert np.array_equal(stream.take.acted[0], take.acted[0])
    assert joined(chunks).shape == take.clip.samples.shape
    silent = Steering(steers=(STEER.model_copy(update={"strength": 0.0}),))
    stream = model.stream(PROMPT, steer=silent, **settings)
    play(stream, {2: [Control.strength("m", 3.0)], 4: [Control.strength("m", -3.0)]})
    live = stream.take
    assert not np.array_equal(live.codes, take.codes) and live.acted[0].any()
    again = replay(live.save(tmp_path / "live.wav"), model=Model(model.checkpoint))
    assert again.identical and np.array_equal(again.take.acted[0], live.acted[0])


def test_a_comparison_has_the_plain_take_beside_the_monitored_one(model):
    found = compare(model, PROMPT, [STEERING], seconds=0.4, seed=3)
    plain, steered = (one.take for one in found.takes)
    assert np.array_equal(plain.codes, model.generate(PROMPT, seconds=0.4, seed=3).codes)
    alone = model.generate(PROMPT, steer=STEERING, seconds=0.4, seed=3)
    assert np.array_equal(steered.codes, alone.codes)


def test_a_sidecar_that_names_an_absent_steer_is_refused(small, tmp_path):
    small.vectors["m"] = monitored_vector(small, "m", 2)
    sidecar = small.generate(PROMPT, steer=STEERING, seconds=0.4, seed=3).save(tmp_path / "a.wav")
    content = json.loads(sidecar.read_text())
    for monitored, message in (
        ([{"steer": 1, "acted": 0.5}], "monitored names steer 1 of 1"),
        ([{"steer": 0, "acted": 1.5}], "monitored.0.acted"),
    ):
        sidecar.write_text(json.dumps(content | {"monitored": monitored}))
        with pytest.raises(TonearmError, match=message):
            read_sidecar(sidecar)


def test_a_vector_without_a_monitor_is_refused_before_decoding(small):
    vector = replace(monitored_vector(small, "m"), monitor=None)
    with pytest.raises(TonearmError, match="steer m: the vector has no monitor"):
        small.generate_batch([TakeRequest(PROMPT, 1, STEERING, seconds=0.4)], vectors={"m": vector})
