"""Captured steps against plain ones. Without a GPU, capture is done by tracing: like a CUDA graph, a trace keeps every value that
Python knew when it was made, and reads anew only what stands in tensors."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from tests.musicgen.decode_requests import STEERS, request_for, vector_for
from tonearm import Schedule, Steer, Steering
from tonearm.musicgen import cuda_graphs, packed_linear
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder


@pytest.fixture(autouse=True)
def plain_products(monkeypatch):
    """As on a GPU: a trace does not see into packed weights."""
    monkeypatch.setattr(packed_linear, "_can_pack", lambda: False)


@pytest.fixture
def traced():
    """A capture that counts."""
    steps = []

    def capture(step):
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
def test_captured_steps_give_the_codes_of_plain_ones(model_of, variant, traced, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "BUCKET", 8)
    model = model_of(variant)
    decoder = Decoder(model.checkpoint)
    plain = codes_of(decoder, request_for(model))
    decoder.capture = traced
    assert torch.equal(codes_of(decoder, request_for(model)), plain)
    assert 2 <= len(traced.steps) <= 4  # one for each stretch of eight positions, not one for each step


@pytest.mark.parametrize(
    "name", ["add", "blend, activation", "rotate", "remove", "clamp", "conditional", "ramp", "window"]
)
def test_captured_steps_are_steered_by_what_stands_in_the_buffers(melody, name, traced):
    request = request_for(melody, Steering(steers=(STEERS[name],)), {"v": vector_for(melody)})
    decoder = Decoder(melody.checkpoint)
    plain = codes_of(decoder, request)
    decoder.capture = traced
    assert torch.equal(codes_of(decoder, request), plain)


def test_a_turned_strength_reaches_a_captured_step(melody, traced):
    steer = Steer(vector="v", strength=0.5, source_layer=1, schedule=Schedule.ramp(0, 1))
    decoder = Decoder(melody.checkpoint)
    codes = []
    for capture in (None, traced):
        decoder.capture = capture
        decoding = Decoding(decoder, request_for(melody, Steering(steers=(steer,)), {"v": vector_for(melody)}))
        for frames in decoding:
            if frames == 3:
                decoding.buffers.set_strength("v", 4.0, decoding.frame)
        codes.append(decoding.codes)
    assert torch.equal(*codes)


def test_who_reads_activations_is_called_at_every_step(melody, traced):
    decoder, calls = Decoder(melody.checkpoint), []
    decoder.capture = traced
    decoding = Decoding(decoder, request_for(melody), {("residual", 0): [lambda h, span: calls.append(span)]})
    assert len(list(decoding)) == len(calls) and not traced.steps


def test_where_no_graph_can_be_captured_it_says_so_and_goes_on(monkeypatch):
    def fails(_):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(cuda_graphs, "_graph_of", fails)
    with pytest.warns(
        UserWarning, match="not possible here .operation not permitted when stream is capturing.; decoding goes on"
    ):
        step = cuda_graphs.capture_on_cuda(lambda: torch.ones(1))
    assert step() == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_graphs_give_the_codes_of_plain_steps(folder_of):
    from tonearm import load

    model = load(str(folder_of("melody")), device="cuda", dtype="float32")
    decoder = model.engine.decoder
    assert decoder.capture is cuda_graphs.capture_on_cuda
    captured = codes_of(decoder, request_for(model))
    decoder.capture = None
    assert torch.equal(codes_of(decoder, request_for(model)), captured)
