"""Logits that are not finite stop decoding with one line, in every way of decoding."""

import pytest
import torch

from tests.musicgen.decode_requests import request_for, with_window
from tests.steering.vectors import vector_of
from tonearm import Steer, Steering, TonearmError
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.engine import DecoderEngine, ReferenceEngine
from tonearm.musicgen.sampling import FINITE_CHECK_STEPS, RowSampler, Sampling
from tonearm.steering import SteeringVector

MESSAGE = "logits are not finite"


def overflowing(model, **fields) -> dict:
    """Steering whose addition to the activations overflows float32."""
    vector = vector_of(model, "push")
    directions = {layer: vector[layer] * 1e37 for layer in vector.layers}
    huge = SteeringVector(directions, vector.info)
    steer = Steer(vector="push", strength=1000, source_layer=1, **fields)
    return {"steering": Steering(steers=(steer,)), "vectors": {"push": huge}}


@pytest.mark.parametrize("variant", ["small", "melody"])
@pytest.mark.parametrize("engine", [DecoderEngine, ReferenceEngine])
@pytest.mark.parametrize("shared_noise", [False, True])
def test_both_engines_stop(model_of, variant, engine, shared_noise):
    model = model_of(variant)
    request = request_for(model, **overflowing(model), shared_noise=shared_noise)
    with pytest.raises(TonearmError, match=MESSAGE) as error:
        engine(model.checkpoint).decode(request)
    assert "\n" not in str(error.value)


def test_one_step_that_is_not_finite_stops_a_take(melody):
    decoding = Decoding(melody.engine.decoder, request_for(melody))
    sampler = decoding.sampler
    for step, _ in enumerate(decoding):
        if step == 3:
            sampler.logit_sum = sampler.logit_sum + float("inf")
    with pytest.raises(TonearmError, match=MESSAGE):
        _ = decoding.codes


def test_long_decoding_stops_early(melody):
    request = request_for(melody, **overflowing(melody), frames=3 * FINITE_CHECK_STEPS)
    decoding = Decoding(melody.engine.decoder, request)
    with pytest.raises(TonearmError, match=MESSAGE):
        for _ in decoding:
            assert decoding.position < FINITE_CHECK_STEPS


@pytest.mark.parametrize("windowed", [False, True])
def test_generate_and_stream_stop(melody, windowed):
    model = with_window(melody, 20) if windowed else melody
    given = overflowing(melody)
    model.vectors["push"] = given["vectors"]["push"]
    with pytest.raises(TonearmError, match=MESSAGE):
        model.generate("a fast folk tune", steer=given["steering"], seconds=1.2)
    with pytest.raises(TonearmError, match=MESSAGE):
        list(model.stream("a fast folk tune", steer=given["steering"], seconds=1.2))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_sampler_remembers_logits_that_are_not_finite(value):
    sampler = RowSampler([Sampling(guidance=1.0)], [1], torch.device("cpu"))
    logits = torch.zeros(1, 4, 16)
    sampler(logits, 1)
    sampler.check_finite()
    broken = logits.clone()
    broken[0, 2, 3] = value
    sampler(broken, 2)
    sampler(logits, 3)
    with pytest.raises(TonearmError, match=MESSAGE):
        sampler.check_finite()
