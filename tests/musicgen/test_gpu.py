"""Decoding on CUDA: pocket against the reference engine, half precision, captured graphs."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tests.musicgen.decode_requests import FRAMES, request_for
from tests.musicgen.recorded_graphs import codes_of
from tests.steering.vectors import monitored_vector, vector_of
from tonearm import Schedule, Steer, Steering, TakeRequest, load, replay
from tonearm.generation.provenance import MAX_ROWS
from tonearm.musicgen.codec import (
    codec_bytes,
    codec_rows_at_once,
    decode_codes,
    decode_rows,
    encode_audio,
)
from tonearm.musicgen.cuda_graphs import capture_on_cuda
from tonearm.musicgen.decode_loop import Decoding
from tonearm.steering import Monitoring

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

PROMPT = "a folk tune with flute"
STEERS = {
    "plain": None,
    "add": Steer(vector="brightness", strength=0.2),
    "blend": Steer(vector="brightness", strength=0.1, operator="blend", scale="activation"),
    "rotate": Steer(vector="brightness", strength=0.1, operator="rotate"),
    "slerp": Steer(vector="brightness", strength=0.1, operator="slerp"),
    "remove": Steer(vector="brightness", operator="remove"),
    "gate": Steer(vector="brightness", strength=0.3, gate=0.3),
    "clamp": Steer(vector="brightness", operator="clamp", low=1.0),
}


@pytest.fixture(scope="module")
def pocket():
    return load("pocket", device="cuda", dtype="float32")


@pytest.fixture(scope="module")
def reference():
    return load("pocket", device="cuda", dtype="float32", engine="reference")


@pytest.fixture
def uncaptured(pocket, monkeypatch):
    """A function that switches graph capture off for the rest of the test."""
    return lambda: monkeypatch.setattr(pocket.engine.decoder, "capture", None)


@pytest.mark.parametrize("name", STEERS)
def test_pocket_in_float32_gives_the_codes_of_the_reference(pocket, reference, name, caplog):
    assert pocket.engine.decoder.capture is capture_on_cuda
    with caplog.at_level(logging.WARNING, "tonearm"):
        take = pocket.generate(PROMPT, steer=STEERS[name], seconds=2, seed=7)
    assert not caplog.records  # graphs were captured
    expected = reference.generate(PROMPT, steer=STEERS[name], seconds=2, seed=7)
    assert np.array_equal(take.codes, expected.codes)
    if name != "plain":
        plain = pocket.generate(PROMPT, seconds=2, seed=7)
        assert not np.array_equal(take.codes, plain.codes)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_finite_audio_and_replays(dtype, tmp_path):
    model = load("pocket", device="cuda", dtype=dtype)
    steering = Steering(steers=(STEERS["add"],))
    requests = [TakeRequest(PROMPT, seed, steering, seconds=2) for seed in range(3)]
    takes = list(model.generate_batch(requests, batch_size=3))
    prompt = takes[0].clip
    takes.append(model.generate(PROMPT, seconds=2, seed=3, continue_from=prompt, melody=prompt))
    for take in takes:
        assert take.provenance.stack.dtype == dtype
        assert ((take.codes >= 0) & (take.codes < model.shape.codebook_size)).all()
        assert np.isfinite(take.clip.samples).all() and take.clip.samples.any()
        sidecar = take.save(tmp_path / f"{take.provenance.seed}.wav")
        again = replay(sidecar, model=model)
        assert np.array_equal(again.take.codes, take.codes)
        assert again.identical and again.differences == ()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_the_codec_is_repeatable_in_half_precision(dtype):
    checkpoint = load("pocket", device="cuda", dtype=dtype).checkpoint
    size = (checkpoint.shape.codebooks, 200)
    codes = torch.randint(0, 512, size, generator=torch.Generator().manual_seed(0))
    clips = [decode_codes(checkpoint, codes) for _ in range(4)]
    assert all(np.array_equal(clips[0].samples, clip.samples) for clip in clips)
    again = [encode_audio(checkpoint, clips[0]) for _ in range(4)]
    assert all(torch.equal(again[0], other) for other in again)
    assert not torch.backends.cudnn.deterministic  # the flag of the process is restored


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_captured_graphs_give_the_codes_of_uncaptured_steps(folder_of, variant):
    model = load(str(folder_of(variant)), device="cuda", dtype="float32")
    decoder = model.engine.decoder
    codes = []
    for capture in (capture_on_cuda, None):
        decoder.capture = capture
        codes.append(codes_of(decoder, request_for(model, frames=4 * FRAMES)))
    assert torch.equal(*codes)


CLAMP = Steer(vector="v", operator="clamp", low=2.0, high=5.0, source_layer=1)
ADD = Steer(vector="v", strength=1.5, source_layer=1)
SLERP = Steer(vector="v", strength=0.4, operator="slerp", source_layer=1)
SET = Steer(vector="v", operator="set", level=4.0, strategy="all-to-all")
GATED = Steer(vector="v", strength=1.5, source_layer=1, gate=0.5)
MONITORED = Steer(vector="v", strength=1.5, strategy="all-to-all", monitor=Monitoring(every=2))


def steered_request(model, steer, seed):
    """A request whose prompts, seeds and directions depend on the seed."""
    prompts = [("a fast folk tune", "dark piano", "a calm jazz piece")[seed], "slow jazz"]
    vector = vector_of(model, seed=seed)
    if steer.monitor:
        heads = model.shape.layer_count * model.shape.heads  # all, so that the layers are equal
        vector = monitored_vector(model, seed=seed, count=heads)
    vectors = {"v": vector}
    seeds = (seed, 7)
    return request_for(
        model, Steering(steers=(steer,)), vectors, prompts=prompts, seeds=seeds, frames=4 * FRAMES
    )


@pytest.fixture
def captured(folder_of):
    """Variant name -> a model of its own, and a list with one entry per capture."""

    def model_of(variant):
        model, calls = load(str(folder_of(variant)), device="cuda", dtype="float32"), []

        def capture(step, device):
            calls.append(device)
            return capture_on_cuda(step, device)

        model.engine.decoder.capture = capture
        return model, calls

    return model_of


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
@pytest.mark.parametrize(
    ("first", "later"),
    [
        (CLAMP, CLAMP.model_copy(update={"low": -1.0, "high": 0.5})),
        (ADD, ADD.model_copy(update={"strength": -0.7})),
        (SLERP, SLERP.model_copy(update={"strength": -0.7})),
        (SET, SET.model_copy(update={"level": -6.0, "level_schedule": Schedule.ramp(0, 1)})),
        (GATED, GATED.model_copy(update={"gate": 0.8})),
        (MONITORED, MONITORED.model_copy(update={"monitor": Monitoring(every=1, threshold=0.7)})),
    ],
    ids=["clamp", "add", "slerp", "set", "gate", "monitor"],
)
def test_later_decodings_of_a_shape_capture_nothing(captured, monkeypatch, variant, first, later):
    model, calls = captured(variant)
    decoder = model.engine.decoder
    requests = [
        steered_request(model, first, 0),
        *(steered_request(model, later, n) for n in (1, 2)),
    ]
    codes, captures = [], []
    for request in requests:
        codes.append(codes_of(decoder, request))
        captures.append(len(calls))
    assert captures == [captures[0]] * 3 and captures[0] > 0
    monkeypatch.setattr(decoder, "capture", None)
    for found, request in zip(codes, requests, strict=True):
        assert torch.equal(found, codes_of(decoder, request))
    assert not torch.equal(codes[0], codes[1])


def test_decodings_that_alternate_or_share_threads_do_not_share_graphs(captured, monkeypatch):
    model, _ = captured("small")
    decoder = model.engine.decoder
    requests = [steered_request(model, CLAMP, seed) for seed in range(3)]
    found = []
    for _ in range(2):
        running = [Decoding(decoder, request) for request in requests]
        while not all(decoding.done for decoding in running):
            for decoding in running:
                decoding.step()
        found.append([decoding.codes for decoding in running])
    with ThreadPoolExecutor(3) as threads:
        found.append(list(threads.map(lambda request: codes_of(decoder, request), requests)))
    monkeypatch.setattr(decoder, "capture", None)
    expected = [codes_of(decoder, request) for request in requests]
    for codes in found:
        assert all(map(torch.equal, codes, expected))


def test_the_memory_of_kept_graphs_is_freed_by_a_release(captured):
    model, _ = captured("small")
    request = steered_request(model, CLAMP, 0)
    codes_of(model.engine.decoder, request)
    kept, allocated = model.engine.decoder.pool.nbytes, torch.cuda.memory_allocated()
    assert model.engine.release()
    assert allocated - torch.cuda.memory_allocated() >= kept > 0


def play_with_changes(pocket) -> tuple[np.ndarray, list[int]]:
    """Codes of a stream whose strength is set after its third, sixth, ... chunk, and the frames."""
    stream = pocket.stream(PROMPT, seconds=4, seed=3, steer={"brightness": "raw:0"})
    futures = []
    for number, _ in enumerate(stream):
        if number % 3 == 2:
            strength = 0.2 if len(futures) % 2 == 0 else -0.1
            futures.append(stream.set_strength("brightness", strength))
    frames = [future.result(timeout=0) for future in futures if not future.exception()]
    return stream.take.codes, frames


def test_a_strength_set_while_graphs_replay_acts_as_without_graphs(pocket, uncaptured):
    captured, frames = play_with_changes(pocket)
    uncaptured()
    expected, expected_frames = play_with_changes(pocket)
    assert frames == expected_frames and len(frames) > 5
    assert np.array_equal(captured, expected)
    plain = pocket.generate(PROMPT, seconds=4, seed=3)
    assert np.array_equal(captured[0, : frames[0]], plain.codes[0, : frames[0]])
    assert not np.array_equal(captured, plain.codes)


def test_an_open_ended_stream_beyond_the_window_replays(pocket, tmp_path):
    stream = pocket.stream(
        PROMPT, seconds=None, seed=3, steer={"brightness": "raw:0"}, chunk_seconds=0.5
    )
    for number, _ in enumerate(stream):
        if number == 21:
            stream.set_strength("brightness", 0.2)
        if number == 24:
            stream.stop()
    assert stream.take.seconds > pocket.shape.window_seconds + 1
    assert replay(stream.take.save(tmp_path / "open.wav"), model=pocket).identical


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_of_mixed_lengths_and_stopped_streams_replay_bit_for_bit(tmp_path, dtype):
    """Their caches are longer than their own music needs, and products round by shape."""
    model = load("pocket", device="cuda", dtype=dtype)
    lengths = (0.6, 7.0, 2.0)
    requests = [TakeRequest(PROMPT, seed, seconds=length) for seed, length in enumerate(lengths)]
    takes = list(model.generate_batch(requests, batch_size=len(requests)))
    stream = model.stream(PROMPT, seconds=None, seed=4)
    for chunk in stream:
        if chunk.start > 1:
            stream.stop()
    for index, take in enumerate([*takes, stream.take]):
        assert replay(take.save(tmp_path / f"{index}.wav"), model=model).identical, index


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_decoded_to_audio_together_replay_bit_for_bit(tmp_path, dtype):
    model = load("pocket", device="cuda", dtype=dtype)
    lengths = (2.0, 2.0, 1.0, 2.0, 2.0, 1.0)
    requests = [TakeRequest(PROMPT, seed, seconds=length) for seed, length in enumerate(lengths)]
    takes = list(model.generate_batch(requests, batch_size=len(requests)))
    places = [take.provenance.batch for take in takes]
    assert [(place.codec_rows, place.codec_row) for place in places] == [
        *((4, 0), (4, 1), (2, 0), (4, 2), (4, 3), (2, 1))
    ]
    for index, take in enumerate(takes):
        again = replay(take.save(tmp_path / f"{index}.wav"), model=model)
        assert again.identical, index
        alone = decode_codes(model.checkpoint, torch.from_numpy(take.codes)).samples
        np.testing.assert_allclose(take.clip.samples, alone, rtol=0, atol=1e-4)


def test_the_codec_takes_no_more_memory_than_estimated(pocket):
    checkpoint, frames = pocket.checkpoint, 10 * pocket.shape.frame_rate
    rows = codec_rows_at_once(checkpoint, frames, MAX_ROWS)
    codes = torch.zeros(rows, checkpoint.shape.codebooks, frames, dtype=torch.int64)
    list(decode_rows(checkpoint, codes[:1]))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    assert {row.codec_rows for row in decode_rows(checkpoint, codes)} == {rows}
    assert rows > 1
    taken = torch.cuda.max_memory_allocated() - before
    assert taken <= codec_bytes(checkpoint, frames, rows)
