"""Captured steps against uncaptured ones, with recorded operators in place of CUDA graphs."""

import gc
import weakref
from dataclasses import replace

import pytest
import torch

from tests.musicgen.decode_requests import STEERS, request_for
from tests.musicgen.recorded_graphs import GraphRecorder, codes_of, recording_decoder
from tests.steering.vectors import vector_of
from tonearm import Schedule, Steer, Steering
from tonearm.musicgen import cuda_graphs
from tonearm.musicgen.cuda_graphs import GraphKey, StepGraphs, kernel_settings
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder

CPU = torch.device("cpu")


def test_a_recording_reads_tensors_again_and_keeps_python_values():
    buffer, factor = torch.ones(3), 2.0
    replay = GraphRecorder()(lambda: buffer[1:] * factor, CPU)
    buffer[:], factor = torch.tensor([1.0, 5.0, 7.0]), 100.0
    assert replay().tolist() == [10.0, 14.0]
    buffer = torch.zeros(3)  # another tensor
    assert replay().tolist() == [10.0, 14.0]


@pytest.mark.parametrize("read", [torch.Tensor.item, torch.Tensor.nonzero, bool])
def test_a_recording_refuses_to_read_values_from_python(read):
    with pytest.raises(RuntimeError, match="not permitted while a stream is captured"):
        GraphRecorder()(lambda: torch.ones(1) * read(torch.ones(1)), CPU)


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small", "stereo-melody"])
def test_captured_steps_give_the_codes_of_uncaptured_ones(model_of, variant, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "BUCKET", 8)
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    plain = codes_of(Decoder(model.checkpoint), request_for(model))
    assert torch.equal(codes_of(decoder, request_for(model)), plain)
    assert 2 <= recorder.captures <= 4  # one per bucket of eight positions


@pytest.mark.parametrize("name", STEERS)
def test_captured_steps_are_steered_by_the_buffers(melody, name):
    request = request_for(melody, Steering(steers=(STEERS[name],)), {"v": vector_of(melody)})
    decoder, recorder = recording_decoder(melody)
    plain = codes_of(Decoder(melody.checkpoint), request)
    assert torch.equal(codes_of(decoder, request), plain)
    assert recorder.captures == 1


def test_a_strength_that_is_set_acts_in_captured_steps(melody):
    steer = Steer(vector="v", strength=0.5, source_layer=1, schedule=Schedule.ramp(0, 1))
    request = request_for(melody, Steering(steers=(steer,)), {"v": vector_of(melody)})
    decoder, _ = recording_decoder(melody)
    codes = []
    for one in (Decoder(melody.checkpoint), decoder):
        decoding = Decoding(one, request)
        for frames in decoding:
            if frames == 3:
                decoding.buffers.set_strength(0, 4.0, decoding.frame)
        codes.append(decoding.codes)
    assert torch.equal(*codes)
    assert not torch.equal(codes[0], codes_of(decoder, request))


def test_readers_are_called_at_every_step_without_capture(melody):
    (decoder, recorder), calls = recording_decoder(melody), []
    decoding = Decoding(
        decoder, request_for(melody), {("residual", 0): [lambda h, span: calls.append(span)]}
    )
    assert len(list(decoding)) == len(calls) and not recorder.captures


@pytest.mark.parametrize("captured", [False, True])
def test_the_cache_of_a_window_is_freed_when_the_next_begins(melody, captured):
    decoder = recording_decoder(melody)[0] if captured else Decoder(melody.checkpoint)
    request = replace(request_for(melody, frames=40), window=20, overlap=8)
    gc.disable()
    try:
        decoding, caches = Decoding(decoder, request), []
        while not decoding.done:
            if not caches or caches[-1]() is not decoding.state.keys:
                caches.append(weakref.ref(decoding.state.keys))
            decoder.pool.release()
            decoding.step()
            assert [cache() is not None for cache in caches[:-1]] == [False] * (len(caches) - 1)
    finally:
        gc.enable()
    assert len(caches) == (1 if captured else 3)


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_decoding_continues_without_graphs_where_a_capture_fails(model_of, variant, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "BUCKET", 8)
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    expected = codes_of(Decoder(model.checkpoint), request_for(model))

    def second_fails(step, device):
        return None if recorder.captures == 1 else recorder(step, device)

    decoder.capture = second_fails
    assert torch.equal(codes_of(decoder, request_for(model)), expected)
    assert recorder.captures == 1 and not decoder.pool.release()


def test_a_capture_that_fails_is_logged(monkeypatch, caplog):
    def fail(step, device):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(cuda_graphs, "_graph_of", fail)
    assert cuda_graphs.capture_on_cuda(lambda: torch.ones(1), CPU) is None
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("tonearm.musicgen.cuda_graphs", "WARNING")
    assert record.getMessage() == (
        "CUDA graphs are not possible here (operation not permitted when stream is capturing); "
        "decoding without them"
    )


def test_a_tensor_keeps_its_address_shape_and_dtype():
    graphs = StepGraphs(GraphKey(1, 1, 8, None, (), ()), CPU, GraphRecorder())
    value = torch.arange(6.0).view(2, 3).T
    kept = graphs.keep("a", value)
    assert kept.data_ptr() != value.data_ptr() and torch.equal(kept, value)
    assert graphs.keep("a", torch.ones(3, 2)) is kept and (kept == 1).all()
    assert graphs.zeros("a", (3, 2), torch.float32) is kept and not kept.any()
    assert graphs.nbytes == 24
    for other in (torch.ones(1, 2), torch.ones(3, 2, dtype=torch.float64)):
        with pytest.raises(ValueError, match=r"a is \[.*its graphs read \[3, 2\] torch.float32"):
            graphs.keep("a", other)


def test_garbage_is_not_collected_during_a_capture():
    with cuda_graphs._no_collection():
        assert not gc.isenabled()
        with cuda_graphs._no_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


@pytest.mark.parametrize("setting", ["enable_math_sdp", "enable_cudnn_sdp"])
def test_settings_that_choose_kernels_are_part_of_the_key(setting):
    before = kernel_settings()
    getattr(torch.backends.cuda, setting)(False)
    try:
        assert kernel_settings() != before
    finally:
        getattr(torch.backends.cuda, setting)(True)
    assert kernel_settings() == before
    torch.set_autocast_enabled("cuda", True)
    try:
        assert kernel_settings() != before
    finally:
        torch.set_autocast_enabled("cuda", False)
