"""Order of the rows of a training, and the rows that are left out."""

from dataclasses import replace

import pytest
import torch

from tonearm.activations.clip_sources import clips_of_prompts
from tonearm.activations.frames import read_frames
from tonearm.errors import TonearmError
from tonearm.features import row_stream
from tonearm.features.row_stream import (
    LayerScales,
    RowStream,
    batches_of,
    measure_scales,
    within_limit,
)

PROMPTS = ["a fast folk tune", "slow dark jazz piece", "loud bright piano tune"]


@pytest.fixture
def clips(melody, tmp_path):
    return clips_of_prompts(melody.engine, PROMPTS, tmp_path / "c", takes=6, seconds=0.4)


@pytest.fixture
def stream(melody, clips, monkeypatch):
    monkeypatch.setattr(RowStream, "chunk_clips", 4)
    return RowStream(melody.engine, clips, "residual", (0, 2), seed=0)


def test_an_epoch_has_every_row_of_both_branches_once(melody, stream, clips):
    everything = read_frames(melody.engine, clips, "residual", (2,), both_branches=True).rows[2]
    epoch = torch.cat([stream.chunk(0)[2], stream.chunk(1)[2]])
    assert len(epoch) == len(everything) == 6 * 2 * 7
    nearest = torch.cdist(epoch, everything).argmin(1)
    assert sorted(nearest.tolist()) == list(range(len(everything)))


def test_a_chunk_is_a_function_of_its_number(stream):
    first, again = stream.chunk(3), stream.chunk(3)
    assert all(torch.equal(first[layer], again[layer]) for layer in (0, 2))
    assert not torch.equal(stream.chunk(0)[0], stream.chunk(2)[0])  # another epoch


def test_the_layers_of_a_chunk_have_one_order(melody, stream, clips):
    rows = read_frames(melody.engine, clips, "residual", (0, 2), both_branches=True).rows
    chunk = stream.chunk(0)
    places = [torch.cdist(chunk[layer], rows[layer]).argmin(1) for layer in (0, 2)]
    assert torch.equal(*places)


def test_rows_of_a_chunk_are_mixed(melody, stream, clips):
    everything = read_frames(melody.engine, clips, "residual", (2,), both_branches=True)
    nearest = torch.cdist(stream.chunk(0)[2], everything.rows[2]).argmin(1)
    owners = everything.clips[nearest]
    assert (owners[1:] != owners[:-1]).float().mean() > 0.5


def test_rows_far_longer_than_the_median_are_left_out():
    rows = torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    sinks = torch.cat([rows, 1000 * rows[:3]])
    scales = measure_scales(sinks.norm(dim=-1))
    assert len(within_limit(sinks, scales)) == 100
    assert scales.scale == pytest.approx(float(rows.square().sum(-1).mean().sqrt()), rel=1e-5)
    assert scales.mean_norm == pytest.approx(float(rows.norm(dim=-1).mean()), rel=1e-5)


def test_batches_are_whole_and_of_mean_squared_length_1():
    rows = 30 * torch.randn(100, 8, generator=torch.Generator().manual_seed(0))
    scales = measure_scales(rows.norm(dim=-1))
    batches = list(batches_of(rows, scales, 32))
    assert [len(batch) for batch in batches] == [32, 32, 32]
    normalised = torch.cat(list(batches_of(rows, scales, 100)))
    assert float(normalised.square().sum(-1).mean()) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("bad", [torch.zeros(5, 4), torch.full((5, 4), float("nan"))])
def test_activations_without_a_scale_are_refused(bad):
    with pytest.raises(TonearmError, match="zero or not finite"):
        measure_scales(bad.norm(dim=-1))


def test_scales_are_measured_on_some_rows_alone(stream):
    found = stream.scales(10)
    assert isinstance(found[0], LayerScales)
    assert found[0].scale == measure_scales(stream.chunk(0)[0][:10].norm(dim=-1)).scale


def test_the_clips_of_a_chunk_follow_from_the_memory(melody, clips):
    one = RowStream(melody.engine, clips, "residual", (0,), seed=0).chunk_clips
    assert one == 65_536 // (2 * 7)


def test_a_chunk_has_several_steps_whatever_its_layers_take(melody, clips, monkeypatch):
    """A step that is larger than a chunk could never be taken, and rows that fill no step are lost."""
    monkeypatch.setattr(row_stream, "CHUNK_BYTES", 1)
    assert RowStream(melody.engine, clips, "residual", (0,), seed=0).chunk_clips == 1
    stream = RowStream(melody.engine, clips, "residual", (0,), seed=0, step=14)
    assert stream.chunk_clips == 4 and len(stream.chunk(0)[0]) == 4 * 14
    assert replace(stream, step=15).chunk_clips == 5


def test_at_cross_attention_the_null_branch_is_left_out(small, tmp_path):
    """Its output for a null text is exactly 0: half of the rows would be zeros."""
    clips = clips_of_prompts(small.engine, PROMPTS, tmp_path / "s", takes=6, seconds=0.4)
    stream = RowStream(small.engine, clips, "cross_attention", (0,), seed=0)
    rows = stream.read(range(len(clips))).rows[0]
    positions = len(rows) // len(clips)
    assert len(rows) == 6 * positions and rows.norm(dim=-1).min() > 0
    both = RowStream(small.engine, clips, "residual", (0,), seed=0)
    assert len(both.read(range(len(clips))).rows[0]) == 2 * len(rows)
