"""Graphs of one decoding, replayed by later ones, against new decoders without graphs.

The tensors of graphs are overwritten between decodings (SpoilingPool), so that a value which a
later decoding does not set itself is found.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch

from tests.musicgen.decode_requests import PROMPTS, STEERS, request_for, with_window
from tests.musicgen.recorded_graphs import codes_of, recording_decoder
from tests.steering.vectors import vector_of
from tonearm import Schedule, Steer, Steering, TakeRequest, TonearmError
from tonearm.musicgen import decoder as decoder_module
from tonearm.musicgen import graph_pool, steering_buffers
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.cuda_graphs import kernel_settings
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.engine import DecoderEngine
from tonearm.steering import SteeringVector
from tonearm.steering.resolve import resolve

VARIANTS = ["small", "medium", "large", "melody", "melody-large", "stereo-small", "stereo-melody"]
OTHER_PROMPTS = ["dark piano", "a calm loud tune"]  # shorter
EQUAL_PROMPTS = ["dark piano", "calm jazz"]  # of one length: nothing is masked
OTHER = dict(prompts=OTHER_PROMPTS, seeds=(8, 9))
CLAMP = Steer(vector="v", operator="clamp", low=2.0, high=5.0, source_layer=1)
TWO_CLAMPS = (CLAMP, CLAMP.model_copy(update={"vector": "w"}))
OTHER_LEVEL = STEERS["set"].model_copy(
    update={"level": -6.0, "level_schedule": Schedule.ramp(0, 0.3), "strength": 0.6}
)
ADD, SUBTRACT = STEERS["add"], STEERS["add, negative"]
EQUAL_STRUCTURES = {
    "add, another layer and sign": ((ADD,), (SUBTRACT,)),
    "add, two vectors": ((ADD,), (ADD, SUBTRACT.model_copy(update={"vector": "w"}))),
    "add, another branch": ((STEERS["conditional"],), (STEERS["unconditional"],)),
    "add, another schedule": ((STEERS["ramp"],), (STEERS["window"],)),
    "add, other positions": ((ADD,), (STEERS["all positions"],)),
    "all-to-all": ((STEERS["all-to-all"],), (STEERS["all-to-all"],)),
    "blend": ((STEERS["blend"],), (STEERS["blend"].model_copy(update={"strength": 0.2}),)),
    "rotate": ((STEERS["rotate"],), (STEERS["rotate"].model_copy(update={"strength": -0.4}),)),
    "slerp": ((STEERS["slerp"],), (STEERS["slerp"].model_copy(update={"strength": -0.7}),)),
    "remove": ((STEERS["remove"],), (STEERS["remove"].model_copy(update={"strength": 0.7}),)),
    "clamp": ((CLAMP,), (CLAMP.model_copy(update={"low": None, "high": -3.0}),)),
    "set": ((STEERS["set"],), (OTHER_LEVEL,)),
    "set, one layer": (
        (STEERS["set, one layer"],),
        (STEERS["set, one layer"].model_copy(update={"level": 2.0, "strength": 1.0}),),
    ),
    "feature": (
        (STEERS["feature"],),
        (STEERS["feature"].model_copy(update={"strength": -0.5}),),
    ),
    "feature, level": (
        (STEERS["feature, level"],),
        (STEERS["feature, level"].model_copy(update={"level": 0.5, "strength": 1.0}),),
    ),
    "gate": (
        (STEERS["gate"],),
        (STEERS["gate"].model_copy(update={"gate": 0.8, "strength": -1.0}),),
    ),
    "gate, own directions": (
        (STEERS["gate, own directions"],),
        (STEERS["gate, own directions"].model_copy(update={"gate": 0.7}),),
    ),
    "two clamps": (TWO_CLAMPS, TWO_CLAMPS[::-1]),
    "clamp after one add and two": ((ADD, CLAMP), (ADD, SUBTRACT, CLAMP)),
}


def vectors_of(model, seed):
    return {
        "v": vector_of(model, seed=seed),
        "w": vector_of(model, "w", seed=seed + 10),
        "attention": vector_of(model, "attention", seed=seed + 20, site="attention"),
    }


def short(model, steers=(), **changes):
    return steered(model, steers, frames=6, **changes)


def steered(model, steers, seed=0, **changes):
    return request_for(model, Steering(steers=tuple(steers)), vectors_of(model, seed), **changes)


def plain_codes(model, request):
    return codes_of(Decoder(model.checkpoint), request)


@pytest.mark.parametrize("variant", VARIANTS)
def test_other_prompts_and_seeds_replay_the_graphs_of_a_plain_decoding(model_of, variant):
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    prompts = [PROMPTS, OTHER_PROMPTS, EQUAL_PROMPTS, PROMPTS]
    requests = [
        request_for(model, prompts=some, seeds=(seed, 9)) for seed, some in enumerate(prompts)
    ]
    codes = [codes_of(decoder, request) for request in requests]
    assert recorder.captures == 1
    for found, request in zip(codes, requests, strict=True):
        assert torch.equal(found, plain_codes(model, request))
    assert not torch.equal(codes[0], codes[1])


@pytest.mark.parametrize("variant", ["small", "melody"])
@pytest.mark.parametrize("name", EQUAL_STRUCTURES)
def test_values_of_steering_are_not_captured(model_of, variant, name):
    model, (first, second) = model_of(variant), EQUAL_STRUCTURES[name]
    decoder, recorder = recording_decoder(model)
    codes_of(decoder, steered(model, first))
    request = steered(model, second, seed=1, **OTHER)
    codes = codes_of(decoder, request)
    assert recorder.captures == 1
    assert torch.equal(codes, plain_codes(model, request))
    assert not torch.equal(codes, plain_codes(model, request_for(model, **OTHER)))


@pytest.mark.parametrize("variant", ["stereo-small", "stereo-melody", "large"])
def test_all_sites_are_steered_by_replayed_graphs(model_of, variant):
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    for seed in range(2):
        vectors = {
            site: vector_of(model, site, seed=seed + number, site=site)
            for number, site in enumerate(model.shape.sites)
        }
        steers = (Steer(vector=site, strength=0.6, operator="rotate") for site in vectors)
        request = request_for(model, Steering(steers=tuple(steers)), vectors, seeds=(seed, 7))
        assert torch.equal(codes_of(decoder, request), plain_codes(model, request))
    assert recorder.captures == 1


def test_rows_that_are_steered_are_not_captured(melody):
    decoder, recorder = recording_decoder(melody)
    vectors, steering = vectors_of(melody, 0), Steering(steers=(CLAMP,))
    for rows in ([steering, Steering()], [Steering(), steering], [steering, steering]):
        plan = resolve(rows, vectors, melody.shape, 12, melody.checkpoint.device)
        request = replace(request_for(melody), plan=plan)
        assert torch.equal(codes_of(decoder, request), plain_codes(melody, request))
    assert recorder.captures == 1


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_another_structure_is_captured_anew(model_of, variant, monkeypatch):
    monkeypatch.setattr(graph_pool, "MAX_KEPT", 100)
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    blend = STEERS["blend"]
    requests = [
        short(model),
        short(model, guidance=1.0),
        short(model, prompts=PROMPTS[:1], seeds=(5,)),
        request_for(model, frames=40),
        short(model, [ADD]),
        short(model, [STEERS["all-to-all"]]),
        short(model, [blend]),
        short(model, [STEERS["blend, activation"]]),
        short(model, [STEERS["gate"]]),
        short(model, [STEERS["gate"].model_copy(update={"layers": (0, 2)})]),
        short(model, [ADD, STEERS["gate"]]),
        short(model, [STEERS["set"]]),
        short(model, [STEERS["set, one layer"]]),
        short(model, [STEERS["feature, silenced"]]),
        short(model, [STEERS["feature, level"]]),
        short(model, [CLAMP]),
        short(model, [CLAMP.model_copy(update={"layers": (0, 2)})]),
        short(model, TWO_CLAMPS),
        short(model, [CLAMP, blend]),
        short(model, [blend, CLAMP]),
        short(model, [ADD, CLAMP, SUBTRACT]),
        short(model, [CLAMP.model_copy(update={"vector": "attention"})]),
    ]
    for count, request in enumerate(requests, start=1):
        assert torch.equal(codes_of(decoder, request), plain_codes(model, request))
        assert recorder.captures == count
    for request in requests:
        codes_of(decoder, request)
    assert recorder.captures == len(requests)


def test_a_setting_that_is_not_known_to_be_in_a_tensor_is_captured_anew(melody, monkeypatch):
    known = steering_buffers.NOT_CAPTURED
    monkeypatch.setattr(steering_buffers, "NOT_CAPTURED", known - {"high"})
    decoder, recorder = recording_decoder(melody)
    for high, captures in ((5.0, 1), (6.0, 2), (5.0, 2)):
        codes_of(decoder, short(melody, [CLAMP.model_copy(update={"high": high})]))
        assert recorder.captures == captures


def test_another_layout_of_the_text_is_captured_anew(small):
    decoder, recorder = recording_decoder(small)
    checkpoint = small.checkpoint
    long = "a fast folk tune with piano and flute and a slow jazz piece with loud soft dark piano"
    conditionings = [
        condition(checkpoint, PROMPTS, guided=True),
        condition(checkpoint, PROMPTS[:1] * 2, guided=True),  # rows share keys and values
        condition(checkpoint, [PROMPTS[0], long], guided=True),
        condition(checkpoint, PROMPTS, guided=True, negatives=["dark", None]),
        condition(checkpoint, PROMPTS, guided=True, negatives=["dark", "slow"]),
    ]
    for count, conditioning in enumerate(conditionings, start=1):
        request = replace(request_for(small), conditioning=conditioning)
        assert torch.equal(codes_of(decoder, request), plain_codes(small, request))
        assert recorder.captures == count


def test_which_rows_have_a_negative_prompt_is_not_captured(small):
    decoder, recorder = recording_decoder(small)
    prompts = [*PROMPTS, "a calm tune"]
    for negatives in (["dark", None, "slow"], [None, "loud", "a dark piece"]):
        conditioning = condition(small.checkpoint, prompts, guided=True, negatives=negatives)
        request = request_for(small, prompts=prompts, seeds=(1, 2, 3))
        request = replace(request, conditioning=conditioning)
        assert torch.equal(codes_of(decoder, request), plain_codes(small, request))
    assert recorder.captures == 1


def test_other_settings_of_the_process_are_captured_anew(melody):
    decoder, recorder = recording_decoder(melody)
    codes_of(decoder, request_for(melody))
    before = kernel_settings()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        codes_of(decoder, request_for(melody))
    finally:
        torch.backends.cuda.enable_cudnn_sdp(True)
    assert kernel_settings() == before and recorder.captures == 2


LIVE = {
    "add": 4.0,
    "blend": 0.7,
    "rotate": 0.6,
    "slerp": -0.5,
    "remove": 1.0,
    "set": 1.0,
    "clamp": 1.0,
    "feature": 3.0,
}


@pytest.mark.parametrize("variant", ["small", "melody"])
@pytest.mark.parametrize("gate", [1.0, 0.6])
@pytest.mark.parametrize("operator", LIVE)
def test_a_strength_of_0_at_capture_can_be_set_later(model_of, variant, operator, gate):
    model = model_of(variant)
    own = {
        "clamp": {"low": 6.0},
        "set": {"level": 4.0, "strategy": "one-to-one"},
        "feature": {"strategy": "one-to-one"},
    }
    settings = {"operator": operator, "source_layer": 1, "gate": gate} | own.get(operator, {})
    steer = Steer(vector="v", strength=0.0, **settings)
    decoder, recorder = recording_decoder(model)

    def decode(one, seed):
        decoding = Decoding(one, steered(model, [steer], seed, live=True, seeds=(seed, 6)))
        for frames in decoding:
            if frames == 3:
                decoding.buffers.set_strength(0, LIVE[operator], decoding.frame)
        return decoding.codes

    for seed in range(3):
        codes = decode(decoder, seed)
        assert torch.equal(codes, decode(Decoder(model.checkpoint), seed))
        assert not torch.equal(codes, plain_codes(model, request_for(model, seeds=(seed, 6))))
    assert recorder.captures == 1


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_a_level_of_0_at_capture_can_be_set_later(model_of, variant):
    model = model_of(variant)
    steer = STEERS["set"].model_copy(update={"level": 0.0})
    decoder, recorder = recording_decoder(model)

    def decode(one, seed, level):
        decoding = Decoding(one, steered(model, [steer], seed, live=True, seeds=(seed, 6)))
        for frames in decoding:
            if frames == 3:
                decoding.buffers.set_level(0, level, decoding.frame)
        return decoding.codes

    for seed in range(3):
        codes = decode(decoder, seed, 8.0)
        assert torch.equal(codes, decode(Decoder(model.checkpoint), seed, 8.0))
        assert not torch.equal(codes, decode(decoder, seed, 0.0))
    assert recorder.captures == 1


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_decodings_that_alternate_do_not_share_graphs(model_of, variant):
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    requests = [steered(model, [CLAMP], 0), steered(model, [CLAMP], 1, **OTHER)]
    expected = [plain_codes(model, request) for request in requests]
    for _ in range(2):
        running = [Decoding(decoder, request) for request in requests]
        while not all(decoding.done for decoding in running):
            for decoding in running:
                decoding.step()
        for decoding, codes in zip(running, expected, strict=True):
            assert torch.equal(decoding.codes, codes)
    assert recorder.captures == 2


def test_threads_do_not_share_graphs(melody):
    decoder, recorder = recording_decoder(melody)
    requests = [steered(melody, [CLAMP], seed, seeds=(seed, 6)) for seed in range(4)]
    expected = [plain_codes(melody, request) for request in requests]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            found = threads.map(lambda request: codes_of(decoder, request), requests)
            assert all(map(torch.equal, found, expected))
    assert 1 <= recorder.captures <= 4


class Interrupted(Exception):
    """Raised by a caller while decoding."""


def interrupt(done, _all):
    if done == 3:
        raise Interrupted


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_graphs_of_a_decoding_that_ends_early_are_replayed(model_of, variant):
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    engine = DecoderEngine(model.checkpoint)
    engine.decoder = decoder
    request = steered(model, [CLAMP], 1, **OTHER)
    expected = plain_codes(model, request)
    with pytest.raises(Interrupted):
        engine.decode(steered(model, [CLAMP]), interrupt)
    assert torch.equal(codes_of(decoder, request), expected)
    abandoned = engine.rows(steered(model, [CLAMP]), interrupt)
    with pytest.raises(Interrupted):
        next(abandoned)
    assert torch.equal(codes_of(decoder, request), expected)
    left = iter(Decoding(decoder, steered(model, [CLAMP])))
    next(left), next(left)
    del left
    assert torch.equal(codes_of(decoder, request), expected)
    assert recorder.captures == 1


def test_a_decoding_that_is_never_run_keeps_its_graphs_from_others(melody):
    decoder, recorder = recording_decoder(melody)
    expected = codes_of(decoder, request_for(melody))
    waiting = Decoding(decoder, request_for(melody))
    assert torch.equal(codes_of(decoder, request_for(melody)), expected)
    assert recorder.captures == 2
    assert torch.equal(list(waiting) and waiting.codes, expected)
    assert recorder.captures == 2


def test_values_that_are_not_finite_do_not_reach_the_next_decoding(melody):
    decoder, recorder = recording_decoder(melody)
    vector = vector_of(melody)
    vectors = {"v": SteeringVector({1: 1e37 * vector[1]}, vector.info)}
    huge = Steering(steers=(ADD.model_copy(update={"strength": 1000.0}),))
    decoding = Decoding(decoder, request_for(melody, huge, vectors))
    for _ in decoding:
        pass
    with pytest.raises(TonearmError, match="not finite"):
        _ = decoding.codes
    request = steered(melody, [ADD])
    assert torch.equal(codes_of(decoder, request), plain_codes(melody, request))
    assert recorder.captures == 1


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small", "stereo-melody"])
@pytest.mark.parametrize(("frames", "captures"), [(44, 1), (45, 2)])
def test_windows_replay_the_graphs_of_earlier_ones(
    model_of, variant, frames, captures, monkeypatch
):
    """Windows of 20 frames; the last of 45 frames is one of 9."""
    monkeypatch.setattr(decoder_module, "CAPACITY_MULTIPLE", 1)
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    for seed in range(2):
        steers = [CLAMP, STEERS["ramp"].model_copy(update={"vector": "w"})]
        request = steered(model, steers, seed, frames=frames, seeds=(seed, 6))
        request = replace(request, window=20, overlap=8)
        assert torch.equal(codes_of(decoder, request), plain_codes(model, request))
    assert recorder.captures == captures


def recording_model(model, window):
    """The model with a window of some frames and recorded steps."""
    model = with_window(model, window)
    decoder, recorder = recording_decoder(model)
    model.engine.decoder = decoder
    return model, recorder


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-melody"])
def test_streams_with_live_changes_replay_the_graphs_of_earlier_ones(model_of, variant):
    plain = with_window(model_of(variant), 20)
    model, recorder = recording_model(plain, 20)
    takes = {}
    for name, one in (("plain", plain), ("recorded", model)):
        one.vectors["v"] = vector_of(one)
        takes[name] = []
        for seed in range(3):
            stream = one.stream("a folk tune", seconds=2.0, seed=seed, steer={"v": "raw:0"})
            for number, _ in enumerate(stream):
                if number == 2:
                    stream.set_strength("v", 1.5)
            takes[name].append(torch.from_numpy(stream.take.codes))
    assert all(map(torch.equal, takes["plain"], takes["recorded"]))
    captures = recorder.captures
    assert captures <= 2
    cancelled = model.stream("a folk tune", seconds=2.0, seed=1, steer={"v": "raw:0"})
    cancelled.cancel()
    left = iter(model.stream("a folk tune", seconds=2.0, seed=1, steer={"v": "raw:0"}))
    next(left)
    left.close()
    list(model.stream("a folk tune", seconds=2.0, seed=1, steer={"v": "raw:0"}))
    assert recorder.captures == captures


def test_teacher_forcing_leaves_the_graphs_alone(melody):
    model, recorder = recording_model(melody, 100)
    model.vectors["v"] = vector_of(model)
    plain = TakeRequest("a folk tune", 1, seconds=0.6)
    steered = replace(plain, steering=Steering(steers=(ADD,)))
    takes = list(model.generate_batch([plain]))
    kept = model.engine.decoder.pool.nbytes
    model.divergence([steered], takes)
    assert model.engine.decoder.pool.nbytes == kept > 0
    (again,) = model.generate_batch([plain])
    assert again.codes.tolist() == takes[0].codes.tolist()
    assert recorder.captures == 1
