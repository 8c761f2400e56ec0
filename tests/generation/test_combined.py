"""Takes and streams of several steers under a rule: final strengths in the sidecar, and replay."""

import logging

import numpy as np
import pytest
import torch

from tests.generation.test_stream import DOWN, UP, calibrated, play
from tests.musicgen.decode_requests import request_for, with_window
from tests.steering.test_combination import turned
from tests.steering.vectors import vector_of
from tonearm import Steer, Steering, TakeRequest, replay
from tonearm.musicgen.engine import DecoderEngine, ReferenceEngine
from tonearm.steering import Control
from tonearm.steering.combination import with_combined_strengths

PROMPT = "a fast folk tune"
RULES = ("none", "sqrt", "mean", "orthogonal")
STEERS = (
    Steer(vector="v", strength=0.9, source_layer=0),
    Steer(vector="w", strength=0.0, source_layer=1),
    Steer(vector="w", strength=-0.7, operator="rotate", source_layer=2),
    Steer(vector="u", strength=1.1, strategy="all-to-all", gate=0.7),
)


@pytest.fixture
def model(melody):
    short = with_window(melody, 20)
    for seed, name in enumerate("uvw"):
        short.vectors[name] = vector_of(short, name, seed=seed)
    return short


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small", "stereo-melody"])
def test_rules_are_carried_out_as_by_the_reference(model_of, variant, rule):
    model = model_of(variant)
    vectors = {name: vector_of(model, name, seed=seed) for seed, name in enumerate("uvw")}
    steering = with_combined_strengths(Steering(steers=STEERS, combine=rule), vectors)
    request = request_for(model, steering, vectors)
    codes = DecoderEngine(model.checkpoint).decode(request)
    assert torch.equal(codes, ReferenceEngine(model.checkpoint).decode(request))


@pytest.mark.parametrize("rule", RULES)
def test_a_take_has_its_final_strengths_beside_it_and_replays(model, tmp_path, rule):
    steering = Steering(steers=STEERS, combine=rule)
    take = model.generate(PROMPT, steer=steering, seconds=1.2, seed=5)
    by_argument = model.generate(PROMPT, steer=list(STEERS), combine=rule, seconds=1.2, seed=5)
    assert (take.codes == by_argument.codes).all()
    provenance = take.provenance
    assert provenance.requested == (None if rule == "none" else steering)
    assert provenance.stated_steering.combine == rule
    strengths = [steer.strength for steer in provenance.steering.steers]
    share = {"sqrt": 1 / np.sqrt(3), "mean": 1 / 3}.get(rule, 1)
    expected = np.array([0.9, 0, -0.7, 1.1]) * share
    assert strengths == pytest.approx(expected[[0, 2, 3]] if rule == "orthogonal" else expected)
    assert provenance.steering.combine == ("orthogonal" if rule == "orthogonal" else "none")
    assert replay(take.save(tmp_path / "take.wav"), model=model).identical
    if share < 1:
        divided = tuple(
            steer.model_copy(update={"strength": steer.strength * share}) for steer in STEERS
        )
        assert (
            model.generate(PROMPT, steer=list(divided), seconds=1.2, seed=5).codes == take.codes
        ).all()
    else:
        plain = model.generate(PROMPT, steer=list(STEERS), seconds=1.2, seed=5)
        assert (plain.codes == take.codes).all() == (rule == "none")


@pytest.mark.parametrize("rule", RULES)
def test_a_row_of_a_batch_of_several_rules_is_the_take_alone(model, rule):
    steerings = [Steering(steers=STEERS, combine=one) for one in RULES] + [Steering()]
    requests = [TakeRequest(PROMPT, 5, steering, seconds=0.8) for steering in steerings]
    together = list(model.generate_batch(requests, batch_size=len(requests)))
    alone = model.generate(PROMPT, steer=list(STEERS), combine=rule, seconds=0.8, seed=5)
    assert (together[RULES.index(rule)].codes == alone.codes).all()
    assert (together[-1].codes == model.generate(PROMPT, seconds=0.8, seed=5).codes).all()


@pytest.mark.parametrize("seconds", [1.6, None])
@pytest.mark.parametrize("rule", RULES)
def test_a_stream_counts_the_steers_that_it_has_and_replays(model, tmp_path, rule, seconds):
    steers = [
        Steer(vector="v", strength=0.0, source_layer=0),
        Steer(vector="w", strength=0.0, source_layer=1),
        Steer(vector="u", strength=0.5, operator="slerp", source_layer=1),
    ]
    stream = model.stream(
        PROMPT, steer=steers, combine=rule, seconds=seconds, seed=5, chunk_seconds=0.08
    )
    changes = {3: [Control.strength("w", 0.9)], 6: [Control.strength("u", -1.0)]}
    _, (first, second) = play(stream, changes, stop_at=18)
    take, share = stream.take, {"sqrt": 1 / np.sqrt(3), "mean": 1 / 3}.get(rule, 1)
    still, changed, turned_back = take.provenance.steering.steers
    times = np.array([first - 1, first, second]) / model.shape.frame_rate
    assert still.strength == 0 and still.schedule is None
    assert changed.schedule.factors(times) == pytest.approx(np.array([0, 0.9, 0.9]) * share)
    assert turned_back.schedule.factors(times) == pytest.approx(np.array([0.5, 0.5, -1]) * share)
    assert replay(take.save(tmp_path / "played.wav"), model=model).identical


@pytest.mark.parametrize("rule", ["mean", "orthogonal"])
def test_amounts_of_a_stream_are_divided_and_replay(model, tmp_path, rule):
    model.vectors["knob"] = calibrated(model.vectors["v"], positive=UP, negative=DOWN)
    stream = model.stream(
        PROMPT, steer={"knob": 0.5, "w": "raw:0.5"}, combine=rule, seconds=1.2, seed=5
    )
    _, (frame,) = play(stream, {2: [Control.amount("knob", -1.0)]})
    up, down, other = stream.take.provenance.steering.steers
    share = 0.5 if rule == "mean" else 1
    times = np.array([frame - 1, frame]) / model.shape.frame_rate
    assert up.schedule.factors(times) == pytest.approx(np.array([1.5, 0]) * share)
    assert down.schedule.factors(times) == pytest.approx(np.array([0, -2]) * share)
    assert other.strength == 0.5 * share
    assert str(stream.take.provenance.requested) == f"knob +0.5, w raw +0.5 ({rule})"
    assert replay(stream.take.save(tmp_path / "played.wav"), model=model).identical


def test_two_vectors_that_are_one_knob_give_one_warning(model, caplog):
    model.vectors["near"] = turned(model.vectors["v"], -0.95)
    caplog.set_level(logging.WARNING)
    steering = {"v": "raw:0.5", "near": "raw:0.5"}
    requests = [
        TakeRequest(
            PROMPT,
            seed,
            Steering(steers=tuple(Steer(vector=n, strength=s) for n in steering)),
            seconds=0.4,
        )
        for seed, s in ((1, 0.5), (2, 0.4), (3, 0.4))
    ]
    model.generate_batch(requests)
    assert caplog.messages == [
        "v and near are one knob: the cosine of their directions is -0.95; steer by one of them"
    ]
    caplog.clear()
    take = model.generate(PROMPT, steer={"v": "raw:0.5", "near": "raw:0"}, seconds=0.4, seed=1)
    assert not caplog.messages and take
    model.stream(PROMPT, steer={"v": "raw:0.5", "near": "raw:0"}, seconds=0.4, seed=1)
    assert len(caplog.messages) == 1
