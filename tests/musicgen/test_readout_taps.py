"""Readouts while decoding: the projection of the newest frame, before the steer acts."""

from dataclasses import replace

import pytest
import torch

from tests.musicgen.decode_requests import request_for
from tests.musicgen.recorded_graphs import recording_decoder
from tests.musicgen.test_windows import long_request
from tests.steering.vectors import vector_of
from tonearm import Steer, Steering
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder
from tonearm.steering.readout import readouts

STRENGTH = 3.0
STEERS = (
    Steer(vector="v", strength=STRENGTH, strategy="one-to-one", source_layer=1),
    Steer(vector="w", strength=0.5, strategy="one-to-one", source_layer=1, operator="rotate"),
    Steer(vector="a", strength=0.0, strategy="one-to-one", source_layer=2),
)
SITES = ["residual", "attention", "heads"]


@pytest.fixture(params=["small", "melody"])
def model(model_of, request):
    return model_of(request.param)


def vectors_of(model, site="residual"):
    return {
        name: vector_of(model, name, seed, site=site) for seed, name in enumerate(("v", "w", "a"))
    }


def read_request(model, site="residual", make=long_request, **changes):
    """A request with three steers, two of them at one layer, whose vectors are read."""
    steering, vectors = Steering(steers=STEERS), vectors_of(model, site)
    request = make(model, steering=steering, vectors=vectors, **changes)
    return replace(request, readouts=readouts(steering, vectors))


@pytest.mark.parametrize("site", SITES)
def test_values_are_projections_before_the_steers_of_the_layer(model, site):
    """Read again after all steers: an addition has moved the projection on its own vector."""
    request = read_request(model, site, live=True, make=request_for)
    first, _, last = request.readouts
    added = vectors_of(model, site)["v"][1].norm() * STRENGTH
    only_add = replace(request, plan=request.plan[:1])
    seen = {}

    def reader(readout):
        def read(h, span):
            seen[readout.vector] = h[:2, -1] @ readout.direction

        return read

    read = {(one.site, one.layer): [reader(one)] for one in (first, last)}
    decoding = Decoding(Decoder(model.checkpoint), only_add, read)
    before = decoding.buffers.readouts.values()
    assert all(value != value for row in before for value in row)  # NaN
    for _ in range(5):
        decoding.step()
        values = torch.tensor(decoding.buffers.readouts.values())
        torch.testing.assert_close(values[0] + added, seen["v"], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(values[2], seen["a"], rtol=1e-4, atol=1e-4)


def test_reading_changes_no_code(model):
    request = read_request(model)
    read, plain = (
        Decoding(Decoder(model.checkpoint), one) for one in (request, replace(request, readouts=()))
    )
    for _ in zip(read, plain, strict=True):
        pass
    assert torch.equal(read.codes, plain.codes)


def test_captured_steps_read_the_same_and_leave_the_values_when_they_end(model):
    """Over several windows; the tensors of the graphs are overwritten when these are put back."""
    decoder, recorder = recording_decoder(model)
    for seeds in ([5, 6], [8, 9]):  # the second decoding replays the graphs of the first
        request = read_request(model, seeds=seeds)
        captured, plain = Decoding(decoder, request), Decoding(Decoder(model.checkpoint), request)
        captures = recorder.captures
        while not plain.done:
            for one in (captured, plain):
                one.step()
            values = [one.buffers.readouts.values() for one in (captured, plain)]
            torch.testing.assert_close(*map(torch.tensor, values), rtol=1e-4, atol=1e-4)
        assert torch.equal(captured.codes, plain.codes)
    assert recorder.captures == captures > 0
