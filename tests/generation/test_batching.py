"""Batches: packing of requests, limits of memory, and independence of rows."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from tests.steering.vectors import vector_of
from tonearm import Clip, Sampling, Steer, Steering, TakeRequest, TonearmError
from tonearm.generation.batching import BatchProgress, Limits, batch_shape, pack
from tonearm.generation.prepare import PreparedRequest
from tonearm.generation.provenance import MAX_ROWS
from tonearm.musicgen.engine import DecoderEngine
from tonearm.musicgen.memory_estimate import (
    CPU_BATCH_ROWS,
    GIB,
    BatchShape,
    decoding_bytes,
    rows_that_fit,
)

SECONDS = [0.4, 1.2, 0.2, 0.8, 0.4, 1.0]
WINDOW, OVERLAP = 750, 300


def prepared(frames: int = 100, tokens: int = 8, text_tokens: int = 0, **fields) -> PreparedRequest:
    """A prepared request without a model."""
    settings = {"sampling": Sampling(), "steering": Steering(), "prompt_codes": None}
    return PreparedRequest(
        request=TakeRequest("-", 0),
        frames=frames,
        token_count=tokens,
        text_tokens=text_tokens,
        audio_prompt=None,
        melody=None,
        **settings | fields,
    )


class Fit:
    """Fits 1000 frames, and keeps the shapes that it was called with."""

    def __init__(self):
        self.shapes: list[BatchShape] = []

    def __call__(self, shape: BatchShape) -> int:
        self.shapes.append(shape)
        return max(1, min(shape.rows, 1000 // shape.frames))


def limits(fit=None, uniform: bool = False, rows: int = CPU_BATCH_ROWS) -> Limits:
    return Limits(WINDOW, OVERLAP, uniform, rows, fit or Fit(), lambda _: None)


def test_order_input_keeps_the_order_of_the_requests():
    lengths = [100, 300, 100, 500, 100, 100]
    batches = pack([prepared(frames) for frames in lengths], "input", None, limits())
    assert [index for batch in batches for index in batch] == list(range(6))
    # 1000 // 500 rows while the longest request remains, then 1000 // 100
    assert batches == [[0, 1], [2, 3], [4, 5]]


def test_order_completion_sorts_by_key_and_length():
    rows = [
        prepared(100),
        prepared(300, text_tokens=9),
        prepared(500),
        prepared(200),
        prepared(500),
    ]
    batches = pack(rows, "completion", None, limits())
    assert batches == [[2, 4], [3, 0], [1]]


def test_rows_with_different_keys_do_not_share_a_batch():
    rows = [prepared(text_tokens=tokens) for tokens in (5, 5, 6, 5)]
    assert pack(rows, "input", None, limits()) == [[0, 1], [2], [3]]
    assert pack(rows, "completion", None, limits()) == [[0, 1, 3], [2]]


def test_a_batch_size_replaces_the_memory_limit():
    fit = Fit()
    rows = [prepared(900) for _ in range(7)]
    assert pack(rows, "input", 3, limits(fit)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert fit.shapes == []


def test_rows_of_uniform_batches_have_one_length():
    rows = [prepared(frames) for frames in (10, 20, 10, 20, 20)]
    assert pack(rows, "completion", None, limits(uniform=True)) == [[0, 2], [1, 3, 4]]
    assert pack(rows, "input", 2, limits(uniform=True)) == [[0], [1], [2], [3, 4]]


def test_the_shape_that_must_fit_is_that_of_the_largest_remaining_rows():
    fit = Fit()
    steering = Steering(steers=(Steer(vector="a"), Steer(vector="b")))
    rows = [
        prepared(1000, tokens=5, sampling=Sampling(guidance=1.0)),
        prepared(200, tokens=40, steering=steering, sampling=Sampling(guidance=1.0)),
        prepared(400, tokens=9),
    ]
    assert pack(rows, "input", None, limits(fit)) == [[0], [1, 2]]
    first, second = fit.shapes
    assert first == BatchShape(
        rows=3,
        guided=True,
        frames=1000,
        window=WINDOW,
        known_frames=OVERLAP,
        text_tokens=40,
        vectors=2,
    )
    assert second == dataclasses.replace(first, rows=2, frames=400, known_frames=0)


@pytest.mark.parametrize(("frames", "known"), [(None, OVERLAP), (400, OVERLAP), (100, 100)])
def test_a_live_batch_counts_the_pass_over_the_overlap_after_a_new_prompt(frames, known):
    rows = [prepared(frames)]
    assert batch_shape(rows, limits(), live=True).known_frames == known
    assert batch_shape(rows, limits()).known_frames == 0


def test_a_stream_of_given_length_is_checked_as_a_live_batch(small, monkeypatch):
    shapes, found = [], small._limits()
    checked = dataclasses.replace(found, check=shapes.append)
    monkeypatch.setattr(type(small), "_limits", lambda self: checked)
    small.stream("calm", seconds=2.0).cancel()
    (shape,) = shapes
    assert shape.known_frames == min(found.overlap, shape.frames) > 0


@pytest.mark.parametrize(("rows", "largest"), [(CPU_BATCH_ROWS, 64), (MAX_ROWS, 150)])
def test_the_memory_and_the_limit_of_the_device_decide_the_rows(small, rows, largest):
    """A budget of 150 rows; on CUDA the limit is the largest batch of a sidecar."""
    shape = BatchShape(rows=150, guided=True, frames=100, window=WINDOW, text_tokens=8, vectors=0)
    budget = decoding_bytes(small.checkpoint, shape)

    def fit(shape):
        return rows_that_fit(small.checkpoint, shape, budget)

    batches = pack([prepared(100)] * 400, "completion", None, limits(fit, rows=rows))
    assert max(map(len, batches)) == len(batches[0]) == largest
    assert [index for batch in batches for index in batch] == list(range(400))


@pytest.mark.parametrize("rows", [CPU_BATCH_ROWS, MAX_ROWS])
@pytest.mark.parametrize("order", ["input", "completion"])
def test_20000_requests_are_packed_with_one_estimate_per_batch(order, rows):
    fit, most = Fit(), rows
    rows = [prepared(20 + i % 180, tokens=4 + i % 30) for i in range(20_000)]
    batches = pack(rows, order, None, limits(fit, rows=most))
    assert sorted(index for batch in batches for index in batch) == list(range(20_000))
    assert len(fit.shapes) == len(batches)
    assert all(sum(rows[index].frames for index in batch) <= 1000 for batch in batches)


@pytest.mark.parametrize(
    ("order", "size", "message"),
    [
        ("sorted", None, "order 'sorted' is not known; use one of input, completion"),
        ("input", 0, "batch size 0 is not possible"),
        ("completion", -3, "batch size -3 is not possible"),
    ],
)
def test_impossible_packing_is_refused(order, size, message):
    with pytest.raises(TonearmError, match=message):
        pack([prepared()], order, size, limits())


def test_progress_counts_the_frames_of_all_batches():
    reports = []
    progress = BatchProgress([[10, 20], [5]], lambda *report: reports.append(report))
    first = progress.next_batch()
    first(15, 20)
    first(20, 20)
    progress.next_batch()(5, 5)
    assert reports == [(25, 35), (30, 35), (35, 35)]


def requests_of(model):
    model.vectors["push"] = vector_of(model, "push")
    steering = Steering(steers=(Steer(vector="push", strength=1.5),))
    prompts = ["calm", "a fast folk tune", "slow jazz piece with flute"]
    return [
        TakeRequest(
            prompts[i % 3],
            10 + i,
            steering if i % 2 else Steering(),
            Sampling(guidance=[3.0, 1.0, 5.0][i % 3], top_k=[250, 20, 0][i % 3]),
            seconds=seconds,
        )
        for i, seconds in enumerate(SECONDS)
    ]


@pytest.fixture
def decoded(monkeypatch):
    """Frames of the rows of each batch that is decoded."""
    batches, rows = [], DecoderEngine.rows

    def spy(engine, request, progress=None):
        batches.append(list(request.lengths))
        return rows(engine, request, progress)

    monkeypatch.setattr(DecoderEngine, "rows", spy)
    return batches


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_each_take_equals_that_of_its_request_alone(model_of, variant):
    model = model_of(variant)
    requests = requests_of(model)
    takes = dict(model.generate_batch(requests, order="completion"))
    assert sorted(takes) == list(range(len(requests)))
    for index, request in enumerate(requests):
        (alone,) = model.generate_batch([request])
        assert (takes[index].codes == alone.codes).all()
        assert takes[index].provenance.new_seconds == request.seconds
        assert takes[index].provenance.seed == request.seed


def test_takes_complete_in_the_order_of_their_lengths(small, decoded):
    reports = []
    takes = small.generate_batch(
        requests_of(small), order="completion", progress=lambda *report: reports.append(report)
    )
    index, _ = next(takes)
    assert SECONDS[index] == min(SECONDS) and reports[-1][0] < reports[-1][1]
    rest = [i for i, _ in takes]
    assert [SECONDS[i] for i in rest] == sorted(SECONDS[i] for i in rest)
    assert len(decoded) == 1 and decoded[0] == sorted(decoded[0], reverse=True)
    assert reports[-1][0] == reports[-1][1]
    assert all(a[0] <= b[0] for a, b in pairwise(reports))


def test_batches_fit_the_given_memory(small, decoded):
    first = requests_of(small)[0]
    requests = [dataclasses.replace(first, seed=i, seconds=1.0) for i in range(7)]
    (one, *_), _ = small._prepare(requests[:1], {})
    shape = BatchShape(
        rows=3,
        guided=True,
        frames=25,
        window=small.shape.window_frames,
        text_tokens=one.token_count,
    )
    three_rows = 1.0001 * decoding_bytes(small.checkpoint, shape) / GIB
    assert len(list(small.generate_batch(requests, memory_gib=three_rows))) == 7
    assert [len(batch) for batch in decoded] == [3, 3, 1]


def test_a_take_that_does_not_fit_is_refused_before_decoding(small, decoded):
    message = r"a take of 10 s needs \d+\.\d\d GiB beside the weights, the limit is 0.00"
    with pytest.raises(TonearmError, match=message):
        small.generate_batch([TakeRequest("calm", 1)], memory_gib=1e-6)
    with pytest.raises(TonearmError, match="0 GiB of memory is not possible"):
        small.generate_batch([TakeRequest("calm", 1)], memory_gib=0)
    assert not decoded


def test_requests_with_different_audio_inputs_do_not_share_a_batch(melody, decoded):
    tone = Clip(np.sin(np.arange(1600) / 5) * 0.4, 1600)
    requests = [
        TakeRequest("calm", 1, seconds=0.4),
        TakeRequest("calm", 2, seconds=0.4, continue_from=tone),
        TakeRequest("calm", 3, seconds=0.4, melody=tone),
        TakeRequest("calm", 4, seconds=0.4, continue_from=tone),
    ]
    takes = dict(melody.generate_batch(requests, order="completion"))
    assert sorted(map(len, decoded)) == [1, 1, 2]
    for index, request in enumerate(requests):
        assert (takes[index].codes == next(melody.generate_batch([request])).codes).all()


@pytest.mark.parametrize("order", ["input", "completion"])
def test_a_mistake_in_any_request_is_refused_before_decoding(small, decoded, order):
    missing = Steering(steers=(Steer(vector="nope", strength=1),))
    with pytest.raises(TonearmError, match="no vector 'nope'"):
        small.generate_batch(
            [TakeRequest("calm", 1, seconds=0.4), TakeRequest("calm", 2, missing)], order=order
        )
    with pytest.raises(TonearmError, match="the prompt is empty"):
        small.generate_batch([TakeRequest("calm", 1), TakeRequest(" ", 1)], order=order)
    with pytest.raises(TonearmError, match="at least one"):
        small.generate_batch([], order=order)
    assert not decoded


def test_the_reference_engine_gives_equal_takes_in_batches_of_one_length(small):
    requests = requests_of(small)
    expected = dict(small.with_engine("reference").generate_batch(requests, order="completion"))
    takes = small.generate_batch(requests, order="completion")
    assert all((take.codes == expected[index].codes).all() for index, take in takes)
