"""Bounds of the memory of graphs that are kept for later decodings."""

import gc
import weakref

import pytest
import torch

from tests.musicgen.decode_requests import request_for, with_window
from tests.musicgen.recorded_graphs import codes_of, recording_decoder
from tonearm import TakeRequest, TonearmError, replay
from tonearm.musicgen import graph_pool, memory_estimate
from tonearm.musicgen.cuda_graphs import GraphKey, StepGraphs
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.graph_pool import MAX_KEPT, GraphPool

CPU = torch.device("cpu")
PROMPT = "a fast folk tune"


def key_of(capacity):
    return GraphKey(1, 1, capacity, None, (), ())


def graphs_of(capacity, nbytes=8):
    """Graphs of one step; only their key and size matter."""
    graphs = StepGraphs(key_of(capacity), CPU, lambda step, device: step)
    graphs.zeros("cache", (nbytes,), torch.uint8)
    graphs.steps[capacity] = lambda: torch.empty(0)
    return graphs


@pytest.fixture
def free(monkeypatch):
    """A function that sets the free memory."""

    def set_free(nbytes):
        monkeypatch.setattr(graph_pool, "free_bytes", lambda device: nbytes)

    set_free(10**6)
    return set_free


@pytest.fixture
def pool():
    return GraphPool(CPU)


def kept_in(pool, *capacities):
    """Those of some keys that the pool holds; empties it."""
    return [capacity for capacity in capacities if pool.take(key_of(capacity))]


def test_graphs_are_taken_out_once_and_by_their_key(pool, free):
    first, second = graphs_of(1), graphs_of(1)
    pool.put(first)
    pool.put(second)
    assert pool.take(key_of(2)) is None
    assert pool.take(key_of(1)) is second
    assert pool.take(key_of(1)) is first
    assert pool.take(key_of(1)) is None


def test_the_least_recently_used_are_dropped(pool, free):
    for capacity in range(MAX_KEPT):
        pool.put(graphs_of(capacity))
    pool.put(pool.take(key_of(0)))
    pool.put(graphs_of(99))
    assert kept_in(pool, *range(MAX_KEPT), 99) == [0, *range(2, MAX_KEPT), 99]


def test_graphs_without_steps_are_not_kept(pool, free):
    graphs = graphs_of(1)
    graphs.steps.clear()
    pool.put(graphs)
    assert pool.take(key_of(1)) is None


def test_half_of_the_memory_is_kept_after_a_decoding(pool, free):
    free(900)
    pool.put(graphs_of(1, 100))
    free(100)
    pool.put(graphs_of(2, 300))  # of 500 bytes that are free or kept, 250 may be kept
    assert pool.nbytes == 100 and kept_in(pool, 1, 2) == [1]
    free(300)
    pool.put(graphs_of(2, 300))
    assert kept_in(pool, 2) == [2]


def test_an_eighth_of_the_memory_is_kept_while_another_key_is_decoded(pool, free):
    free(1000)
    pool.put(graphs_of(1, 100))
    pool.put(graphs_of(2, 400))
    free(500)
    assert pool.take(key_of(3)) is None
    assert pool.nbytes == 100 and kept_in(pool, 1, 2) == [1]


@pytest.mark.parametrize("read", [None, {("residual", 0): [lambda h, span: None]}])
def test_a_decoding_without_graphs_makes_room_too(melody, free, read):
    decoder, _ = recording_decoder(melody)
    codes_of(decoder, request_for(melody))
    free(6 * decoder.pool.nbytes)
    Decoding(decoder, request_for(melody), read, may_capture=read is not None)
    assert decoder.pool.nbytes == 0


def test_a_release_frees_everything(pool, free):
    graphs = graphs_of(1)
    cache = weakref.ref(graphs.tensors["cache"])
    pool.put(graphs)
    del graphs
    assert cache() is not None and pool.nbytes == 8
    assert pool.release() and cache() is None and pool.nbytes == 0
    assert not pool.release()


def test_the_memory_of_a_decoding_that_is_not_kept_is_freed_at_once(melody, free):
    decoder, recorder = recording_decoder(melody)
    free(0)
    gc.disable()
    try:
        for step in (3, None):  # left early, and run to the end
            decoding = Decoding(decoder, request_for(melody))
            cache = weakref.ref(decoding.state.keys)
            for number, _ in enumerate(decoding):
                if number == step:
                    break
            assert cache() is None
    finally:
        gc.enable()
    assert recorder.captures == 2


def test_other_shapes_are_freed_before_the_cache_of_a_decoding_is_allocated(
    melody, free, monkeypatch
):
    decoder, _ = recording_decoder(melody)
    long, short = request_for(melody, frames=60), request_for(melody)
    codes_of(decoder, long)
    free(2 * decoder.pool.nbytes)
    kept = []
    made = StepGraphs.__init__

    def make(graphs, *arguments):
        kept.append(decoder.pool.nbytes)
        made(graphs, *arguments)

    monkeypatch.setattr(StepGraphs, "__init__", make)
    assert torch.equal(codes_of(decoder, short), codes_of(Decoder(melody.checkpoint), short))
    assert kept == [0]


@pytest.fixture
def recorded(small):
    """A model whose steps are recorded."""
    model = with_window(small, 100)
    model.engine.decoder, recorder = recording_decoder(model)
    return model, recorder


@pytest.fixture
def total(monkeypatch, recorded):
    """A function that sets the memory that is free or kept."""
    pool = recorded[0].engine.decoder.pool

    def set_total(nbytes):
        for module in (graph_pool, memory_estimate):
            monkeypatch.setattr(module, "free_bytes", lambda device: nbytes - pool.nbytes)

    set_total(10**9)
    return set_total


def needed(model, rows, seconds):
    """Bytes of a batch of given size."""
    frames = round(seconds * model.shape.frame_rate)
    tokens = len(PROMPT.split()) + 1
    batch = memory_estimate.BatchShape(rows, True, frames, 100, text_tokens=tokens)
    return memory_estimate.decoding_bytes(model.checkpoint, batch)


def batch_of(model, rows, seconds, **options):
    requests = [TakeRequest(PROMPT, seed, seconds=seconds) for seed in range(rows)]
    return [take.codes.tolist() for take in model.generate_batch(requests, **options)]


def test_kept_memory_is_freed_where_a_batch_of_given_size_needs_it(recorded, total, small):
    model, recorder = recorded
    plain = with_window(small, 100)
    one = batch_of(model, 1, 0.4)
    kept = model.engine.decoder.pool.nbytes
    assert kept
    # It fits beside what is kept.
    total(needed(model, 3, 0.8) + kept)
    assert batch_of(model, 3, 0.8, batch_size=3) == batch_of(plain, 3, 0.8)
    assert batch_of(model, 1, 0.4) == one and recorder.captures == 2
    # It fits alone.
    total(needed(model, 4, 1.2))
    assert batch_of(model, 4, 1.2, batch_size=4) == batch_of(plain, 4, 1.2)
    # It does not fit.
    total(needed(model, 4, 1.2) - 1)
    with pytest.raises(TonearmError, match="a batch of 4 takes"):
        batch_of(model, 4, 1.2, batch_size=4)
    assert model.engine.decoder.pool.nbytes == 0


def test_kept_memory_does_not_make_batches_smaller(recorded, total):
    model, _ = recorded
    seen = []
    rows = model.engine.rows
    model.engine.rows = lambda request, progress: (
        seen.append(request.conditioning.rows) or rows(request, progress)
    )
    total(2 * needed(model, 3, 0.4))
    for _ in range(2):
        batch_of(model, 7, 0.4)
    assert seen == [3, 3, 1] * 2


def test_a_limit_of_memory_that_is_given_frees_nothing(recorded, total):
    model, recorder = recorded
    limit = needed(model, 2, 0.4) / memory_estimate.GIB
    for _ in range(2):
        batch_of(model, 4, 0.4, memory_gib=limit)
    assert recorder.captures == 1


def test_a_replay_frees_kept_memory_that_its_batch_needs(recorded, total, tmp_path):
    model, _ = recorded
    requests = [TakeRequest(PROMPT, seed, seconds=1.2) for seed in range(4)]
    *_, take = model.generate_batch(requests, batch_size=4)
    sidecar = take.save(tmp_path / "take.wav")
    total(needed(model, 4, 1.2))
    assert replay(sidecar, model=model).identical
