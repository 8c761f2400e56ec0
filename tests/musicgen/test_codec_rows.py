"""Rows whose audio is decoded together: their number, their memory, and their last bits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tonearm.errors import TonearmError
from tonearm.musicgen import codec
from tonearm.musicgen.codec import (
    CUDA_ROWS,
    CodecLimit,
    codec_bytes,
    codec_limit,
    codec_row_bytes,
    codec_rows_at_once,
    decode_at,
    decode_codes,
    decode_rows,
)
from tonearm.musicgen.memory_estimate import BatchShape, check_memory, decoding_bytes

FRAMES = 30


def random_codes(checkpoint, rows: int, frames: int = FRAMES, seed: int = 0) -> torch.Tensor:
    size = (rows, checkpoint.shape.codebooks, frames)
    return torch.randint(0, 64, size, generator=torch.Generator().manual_seed(seed))


def limit_to(monkeypatch, rows: int, size: int = 10**12) -> None:
    monkeypatch.setattr(codec, "codec_limit", lambda _: CodecLimit(rows, size))


@pytest.fixture
def decoded(monkeypatch) -> list[tuple[int, ...]]:
    """Shapes of the codes that are decoded at once."""
    shapes: list[tuple[int, ...]] = []
    real = codec._decode_whole

    def spy(checkpoint, codes):
        shapes.append(tuple(codes.shape))
        return real(checkpoint, codes)

    monkeypatch.setattr(codec, "_decode_whole", spy)
    return shapes


@pytest.mark.parametrize("variant", ["melody", "stereo-small"])
def test_on_a_cpu_rows_are_decoded_one_at_a_time(model_of, decoded, variant):
    checkpoint = model_of(variant).checkpoint
    codes = random_codes(checkpoint, 3)
    del decoded[:]
    together = list(decode_rows(checkpoint, codes))
    assert [shape[0] for shape in decoded] == [1, 1, 1]
    for own, row in zip(codes, together, strict=True):
        alone = decode_codes(checkpoint, own)
        assert np.array_equal(row.clip.samples, alone.samples)
        assert (row.codec_rows, row.codec_row) == (1, 0)


@pytest.mark.parametrize("variant", ["melody", "stereo-small"])
def test_rows_are_decoded_in_batches_up_to_the_limit(model_of, monkeypatch, decoded, variant):
    checkpoint = model_of(variant).checkpoint
    codes = random_codes(checkpoint, 6)
    alone = [decode_codes(checkpoint, own).samples for own in codes]
    limit_to(monkeypatch, 4)
    del decoded[:]
    rows = list(decode_rows(checkpoint, codes))
    assert [shape[0] for shape in decoded] == [4, 2]
    assert [row[1:] for row in rows] == [(4, 0), (4, 1), (4, 2), (4, 3), (2, 0), (2, 1)]
    for row, own in zip(rows, alone, strict=True):
        assert row.clip.samples.shape == own.shape
        np.testing.assert_allclose(row.clip.samples, own, rtol=0, atol=1e-5 * abs(own).max())


@pytest.mark.parametrize("variant", ["melody", "stereo-small"])
def test_the_bits_of_a_row_depend_on_no_other_row(model_of, monkeypatch, variant):
    checkpoint = model_of(variant).checkpoint
    limit_to(monkeypatch, 4)
    codes = random_codes(checkpoint, 4)
    for index, row in enumerate(decode_rows(checkpoint, codes)):
        changed = random_codes(checkpoint, 4, seed=1)
        changed[index] = codes[index]
        among_others = list(decode_rows(checkpoint, changed))[index]
        again = decode_at(checkpoint, codes[index], row.codec_rows, row.codec_row)
        assert np.array_equal(among_others.clip.samples, row.clip.samples)
        assert np.array_equal(again.samples, row.clip.samples)


def test_long_rows_are_decoded_in_pieces_one_by_one(melody, monkeypatch, decoded):
    monkeypatch.setattr(codec, "PIECE_SECONDS", 1)
    limit_to(monkeypatch, 4)
    codes = random_codes(melody.checkpoint, 2)
    rows = list(decode_rows(melody.checkpoint, codes))
    assert [row[1:] for row in rows] == [(1, 0)] * 2 and not decoded
    assert codec_rows_at_once(melody.checkpoint, FRAMES - 5, 2) == 2


def test_the_limit_of_a_cuda_device_is_a_share_of_its_memory(monkeypatch):
    device = torch.device("cuda:1")
    properties = {device: type("", (), {"total_memory": 80 * 10**9})}
    monkeypatch.setattr(torch.cuda, "get_device_properties", properties.__getitem__)
    assert codec_limit(device) == CodecLimit(CUDA_ROWS, 10**10)
    assert codec_limit(torch.device("cpu")) == CodecLimit(1, 0)


def test_memory_decides_the_rows_below_the_limit(melody, monkeypatch):
    one = codec_row_bytes(melody.checkpoint, FRAMES)
    limit_to(monkeypatch, 8, 3 * one)
    for rows, expected in ((1, 1), (2, 2), (3, 3), (20, 3)):
        assert codec_rows_at_once(melody.checkpoint, FRAMES, rows) == expected
    limit_to(monkeypatch, 8, one - 1)
    assert codec_rows_at_once(melody.checkpoint, FRAMES, 20) == 1
    limit_to(monkeypatch, 8)
    assert codec_rows_at_once(melody.checkpoint, FRAMES, 20) == 8


@settings(deadline=None)
@given(
    rows=st.integers(1, 300),
    frames=st.integers(1, 2000),
    longer=st.integers(0, 2000),
    more=st.integers(0, 100),
    limit=st.builds(CodecLimit, st.integers(1, 64), st.integers(0, 10**9)),
)
def test_the_estimate_of_a_batch_covers_every_group_of_its_rows(
    loaded_model, rows, frames, longer, more, limit
):
    """Rows of one length, in a batch of at least as many rows, whose longest is at least as long."""
    checkpoint = loaded_model("small").checkpoint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "codec_limit", lambda _: limit)
        taken = codec_rows_at_once(checkpoint, frames, rows) * codec_row_bytes(checkpoint, frames)
        assert taken <= codec_bytes(checkpoint, frames + longer, rows + more)


def test_the_memory_of_a_batch_counts_the_rows_decoded_together(small, monkeypatch):
    batch = BatchShape(rows=8, guided=False, frames=700, window=10)
    row = codec_row_bytes(small.checkpoint, batch.frames)
    limit_to(monkeypatch, 4)
    four = decoding_bytes(small.checkpoint, batch)
    limit_to(monkeypatch, 20)
    assert decoding_bytes(small.checkpoint, batch) == four + 4 * row
    limit_to(monkeypatch, 20, 5 * row)
    assert decoding_bytes(small.checkpoint, batch) == four + row
    recorded = replace(batch, codec_rows=6)
    assert decoding_bytes(small.checkpoint, recorded) == four + 2 * row
    with pytest.raises(TonearmError, match="a batch of 8 takes of up to 28 s needs"):
        check_memory(small.checkpoint, recorded, four + row)
