"""Many rows at once: packed into waves that fit the memory, each take as it would be alone."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from tests.steering.vectors import vector_of
from tonearm import Clip, Sampling, Steer, Steering, TakeRequest, TonearmError
from tonearm.musicgen.engine import DecoderEngine
from tonearm.musicgen.memory_estimate import GIB, BatchShape, decoding_bytes

SECONDS = [0.4, 1.2, 0.2, 0.8, 0.4, 1.0]


def rows_of(model):
    model.vectors["push"] = vector_of(model, "push")
    steering = Steering(steers=(Steer(vector="push", strength=1.5),))
    return [
        TakeRequest(
            ["calm", "a fast folk tune", "slow jazz piece with flute"][i % 3], 10 + i, steering if i % 2 else Steering(),
            Sampling(guidance=[3.0, 1.0, 5.0][i % 3], top_k=[250, 20, 0][i % 3]), seconds=seconds,
        )
        for i, seconds in enumerate(SECONDS)
    ]  # fmt: skip


@pytest.fixture
def waves(monkeypatch):
    """The sizes and lengths of the waves that are decoded."""
    seen, real = [], DecoderEngine.rows

    def spy(engine, request, progress=None):
        seen.append(list(request.lengths))
        return real(engine, request, progress)

    monkeypatch.setattr(DecoderEngine, "rows", spy)
    return seen


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_each_take_is_the_one_that_its_row_gives_alone(model_of, variant):
    model = model_of(variant)
    rows = rows_of(model)
    made = dict(model.generate_batch(rows, order="completion"))
    assert sorted(made) == list(range(len(rows)))
    for index, row in enumerate(rows):
        (alone,) = model.generate_batch([row])
        assert (made[index].codes == alone.codes).all()
        assert made[index].provenance.new_seconds == row.seconds and made[index].provenance.seed == row.seed


def test_a_short_take_does_not_wait_for_the_longest_of_its_wave(small, waves):
    told = []
    many = small.generate_batch(rows_of(small), progress=lambda *at: told.append(at), order="completion")
    index, _ = next(many)
    assert SECONDS[index] == min(SECONDS) and told[-1][0] < told[-1][1]
    rest = [i for i, _ in many]
    assert [SECONDS[i] for i in rest] == sorted(SECONDS[i] for i in rest)
    assert len(waves) == 1 and waves[0] == sorted(waves[0], reverse=True)
    assert told[-1][0] == told[-1][1] and all(a[0] <= b[0] for a, b in pairwise(told))


def test_waves_fit_the_memory_that_is_given(small, waves):
    rows = [dataclasses.replace(rows_of(small)[0], seed=i, seconds=1.0) for i in range(7)]
    (prepared, *_), _ = small._prepare(rows[:1], {})
    shape = BatchShape(
        rows=3, guided=True, frames=25, window=small.shape.window_frames, text_tokens=prepared.token_count
    )
    three = decoding_bytes(small.checkpoint, shape) / GIB
    assert len(dict(small.generate_batch(rows, memory_gib=three * 1.0001, order="completion"))) == 7
    assert [len(wave) for wave in waves] == [3, 3, 1]


def test_where_not_one_row_fits_it_says_so_before_any_work(small, waves):
    with pytest.raises(TonearmError, match=r"a take of 10 s needs \d+\.\d\d GiB beside the weights, the limit is 0.00"):
        small.generate_batch([TakeRequest("calm", 1)], memory_gib=1e-6, order="completion")
    with pytest.raises(TonearmError, match="0 GiB of memory is not possible"):
        small.generate_batch([TakeRequest("calm", 1)], memory_gib=0, order="completion")
    assert not waves


def test_rows_with_other_inputs_are_not_mixed(melody, waves):
    tone = Clip(np.sin(np.arange(1600) / 5) * 0.4, 1600)
    rows = [TakeRequest("calm", 1, seconds=0.4), TakeRequest("calm", 2, seconds=0.4, continue_from=tone)]
    rows += [TakeRequest("calm", 3, seconds=0.4, melody=tone), TakeRequest("calm", 4, seconds=0.4, continue_from=tone)]
    made = dict(melody.generate_batch(rows, order="completion"))
    assert sorted(map(len, waves)) == [1, 1, 2]
    for index, row in enumerate(rows):
        assert (made[index].codes == next(melody.generate_batch([row])).codes).all()


def test_mistakes_of_any_row_are_told_before_the_first_take(small, waves):
    rows = [
        TakeRequest("calm", 1, seconds=0.4),
        TakeRequest("calm", 2, Steering(steers=(Steer(vector="nope", strength=1),))),
    ]
    with pytest.raises(TonearmError, match="no vector 'nope'"):
        small.generate_batch(rows, order="completion")
    with pytest.raises(TonearmError, match="the prompt is empty"):
        small.generate_batch([TakeRequest("calm", 1), TakeRequest(" ", 1)], order="completion")
    assert not waves


def test_the_reference_engine_makes_the_same_takes_a_length_at_a_time(small):
    rows = rows_of(small)
    plain = dict(small.with_engine("reference").generate_batch(rows, order="completion"))
    assert all((take.codes == plain[i].codes).all() for i, take in small.generate_batch(rows, order="completion"))
