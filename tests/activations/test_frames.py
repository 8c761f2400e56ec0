"""Rows of the frames of clips against plain forward hooks on transformers, and replacements."""

import pytest
import torch

from tests.activations.sounds import recordings
from tests.activations.test_capture import states_by_hand
from tonearm.activations.clip_sources import clips_of_prompts, clips_of_recordings
from tonearm.activations.frames import read_frames
from tonearm.activations.replacement import predictions_with
from tonearm.errors import TonearmError
from tonearm.musicgen.engine import whole_positions
from tonearm.musicgen.teacher_forcing import forced_log_probabilities

PROMPTS = ["a fast folk tune", "slow jazz piece with flute and piano", "slow dark jazz piece"]
SECONDS = 0.4
LAYERS = (0, 2)


@pytest.fixture
def clips_of(model_of, tmp_path):
    def make(variant):
        model = model_of(variant)
        clips = clips_of_prompts(model.engine, PROMPTS, tmp_path / variant, seconds=SECONDS)
        return model, clips

    return make


@pytest.mark.parametrize("variant", ["melody", "small", "stereo-melody"])
@pytest.mark.parametrize("site", ["residual", "attention", "heads"])
def test_rows_are_the_states_of_every_whole_column(clips_of, variant, site):
    model, clips = clips_of(variant)
    found = read_frames(model.engine, clips, site, LAYERS)
    positions = whole_positions(model.shape, clips.frames)
    assert positions.start == 1 + model.shape.delay_frames  # no BOS
    for index, prompt in enumerate(PROMPTS):
        states, prefix = states_by_hand(model, prompt, site, SECONDS, seed=index)
        expected = states[:, prefix + positions.start : prefix + positions.stop]
        for layer in LAYERS:
            rows = found.rows[layer][found.clips == index]
            assert torch.allclose(rows, expected[layer], atol=2e-5), (prompt, layer)


def test_both_branches_are_those_of_the_text_and_of_the_null_text(clips_of):
    model, clips = clips_of("small")
    both = read_frames(model.engine, clips, "residual", LAYERS, both_branches=True)
    plain = read_frames(model.engine, clips, "residual", LAYERS)
    untold = clips_without_text(clips)
    null = read_frames(model.engine, untold, "residual", LAYERS)
    frames = len(whole_positions(model.shape, clips.frames))
    for index in range(len(clips)):
        rows = both.rows[2][both.clips == index]
        assert torch.allclose(rows[:frames], plain.rows[2][plain.clips == index], atol=2e-5)
        assert torch.allclose(rows[frames:], null.rows[2][null.clips == index], atol=2e-5)
    assert not torch.allclose(plain.rows[2], null.rows[2], atol=1e-2)


def clips_without_text(clips):
    records = tuple(one.model_copy(update={"text": None}) for one in clips.records)
    return type(clips)(records, clips.codes)


def test_audio_is_read_once_also_for_both_branches(model_of, tmp_path):
    model = model_of("melody")
    clips = clips_of_recordings(model.engine, recordings(2), tmp_path / "clips", seconds=0.6)
    once = read_frames(model.engine, clips, "residual", (1,))
    both = read_frames(model.engine, clips, "residual", (1,), both_branches=True)
    assert torch.equal(once.rows[1], both.rows[1])


def test_the_reference_engine_reads_the_same_rows(clips_of):
    model, clips = clips_of("melody")
    reference = model.with_engine("reference")
    ours, theirs = (
        read_frames(engine, clips, "residual", (1,)) for engine in (model.engine, reference.engine)
    )
    assert torch.equal(ours.clips, theirs.clips)
    assert torch.allclose(ours.rows[1], theirs.rows[1], atol=2e-5)


def test_the_cross_entropy_is_that_of_the_codes(clips_of, monkeypatch):
    """Against log-probabilities by hand; the codes of BOS columns are not counted."""
    model, clips = clips_of("stereo-small")
    seen = []

    def recorded(*arguments):
        for one in forced_log_probabilities(*arguments):
            seen.append(one)
            yield one

    monkeypatch.setattr("tonearm.musicgen.teacher_forcing.forced_log_probabilities", recorded)
    first = clips.chosen([0])
    found = predictions_with(model.engine, first, "residual", 1, {"kept": None})["kept"]
    codes, total = first.codes[0].long(), 0.0
    for book, row in enumerate(codes):
        for frame, code in enumerate(row):
            total -= float(seen[frame + book // 2][0, book, code])
    assert found.cross_entropy == pytest.approx(total / codes.shape[1], rel=1e-5)
    assert found.divergence == 0


def test_a_replacement_by_the_activations_themselves_changes_nothing(clips_of):
    model, clips = clips_of("melody")
    found = predictions_with(
        model.engine, clips, "residual", 1, {"kept": None, "same": lambda x: x}
    )
    assert found["same"].cross_entropy == pytest.approx(found["kept"].cross_entropy, rel=1e-6)
    assert abs(found["same"].divergence) < 1e-6


def test_a_stronger_replacement_costs_more(clips_of):
    model, clips = clips_of("melody")

    def noised(size):
        noise = torch.randn(model.shape.width, generator=torch.Generator().manual_seed(0))
        return lambda x: x + size * noise

    found = predictions_with(
        model.engine, clips, "residual", 1, {"a little": noised(0.1), "much": noised(3.0)}
    )
    assert 0 < found["a little"].divergence < found["much"].divergence


def test_replacements_need_the_decoder(clips_of):
    model, clips = clips_of("melody")
    with pytest.raises(TonearmError, match="engine reference cannot compare predictions"):
        predictions_with(
            model.with_engine("reference").engine, clips, "residual", 1, {"kept": None}
        )
