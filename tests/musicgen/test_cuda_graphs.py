"""Captured steps against uncaptured ones.

Without a GPU, steps are captured by tracing: a trace, like a CUDA graph, keeps all Python values of
the time of capture, and reads only tensors again.
"""

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from tests.musicgen.decode_requests import STEERS, request_for
from tests.steering.vectors import vector_of
from tonearm import Schedule, Steer, Steering
from tonearm.musicgen import cuda_graphs, packed_linear
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder


@pytest.fixture(autouse=True)
def plain_products(monkeypatch):
    """Plain products, as on a GPU: packed ones cannot be traced."""
    monkeypatch.setattr(packed_linear, "_can_pack", lambda: False)


@pytest.fixture
def traced():
    """A capture that keeps its graphs."""
    steps = []

    def capture(step, device):
        graph = make_fx(step)()
        steps.append(graph)
        return graph

    capture.steps = steps
    return capture


def codes_of(decoder, request):
    decoding = Decoding(decoder, request)
    for _ in decoding:
        pass
    return decoding.codes


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small", "stereo-melody"])
def test_captured_steps_give_the_codes_of_uncaptured_ones(model_of, variant, traced, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "BUCKET", 8)
    model = model_of(variant)
    decoder = Decoder(model.checkpoint)
    plain = codes_of(decoder, request_for(model))
    decoder.capture = traced
    assert torch.equal(codes_of(decoder, request_for(model)), plain)
    assert 2 <= len(traced.steps) <= 4  # one per bucket of eight positions


@pytest.mark.parametrize(
    "name",
    ["add", "blend, activation", "rotate", "remove", "clamp", "conditional", "ramp", "window"],
)
def test_captured_steps_are_steered_by_the_buffers(melody, name, traced):
    request = request_for(melody, Steering(steers=(STEERS[name],)), {"v": vector_of(melody)})
    decoder = Decoder(melody.checkpoint)
    plain = codes_of(decoder, request)
    decoder.capture = traced
    assert torch.equal(codes_of(decoder, request), plain)


def test_a_strength_that_is_set_acts_in_captured_steps(melody, traced):
    steer = Steer(vector="v", strength=0.5, source_layer=1, schedule=Schedule.ramp(0, 1))
    decoder = Decoder(melody.checkpoint)
    codes = []
    for capture in (None, traced):
        decoder.capture = capture
        decoding = Decoding(
            decoder, request_for(melody, Steering(steers=(steer,)), {"v": vector_of(melody)})
        )
        for frames in decoding:
            if frames == 3:
                decoding.buffers.set_strength("v", 4.0, decoding.frame)
        codes.append(decoding.codes)
    assert torch.equal(*codes)


def test_readers_are_called_at_every_step_without_capture(melody, traced):
    decoder, calls = Decoder(melody.checkpoint), []
    decoder.capture = traced
    decoding = Decoding(
        decoder, request_for(melody), {("residual", 0): [lambda h, span: calls.append(span)]}
    )
    assert len(list(decoding)) == len(calls) and not traced.steps


def test_the_cache_of_a_window_is_freed_when_the_next_begins(melody):
    decoder = Decoder(melody.checkpoint)
    decoder.capture = lambda step, device: step
    request = replace(request_for(melody, frames=40), window=20, overlap=8)
    gc.disable()
    try:
        decoding, caches = Decoding(decoder, request), []
        for _ in decoding:
            if not caches or caches[-1]() is not decoding.state.keys:
                caches.append(weakref.ref(decoding.state.keys))
            assert [cache() is not None for cache in caches[:-1]] == [False] * (len(caches) - 1)
    finally:
        gc.enable()
    assert len(caches) > 1


def test_a_capture_that_fails_is_logged_and_the_step_runs_uncaptured(monkeypatch, caplog):
    def fail(step, device):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(cuda_graphs, "_graph_of", fail)
    step = cuda_graphs.capture_on_cuda(lambda: torch.ones(1), torch.device("cpu"))
    assert step() == 1
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("tonearm.musicgen.cuda_graphs", "WARNING")
    assert record.getMessage() == (
        "CUDA graphs are not possible here (operation not permitted when stream is capturing); "
        "decoding without them"
    )
