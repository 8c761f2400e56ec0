"""Recipe of the evaluators: ground truth, captions, and a miniature run of all stages.

FluidSynth is not needed.
"""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("beat_this.model.beat_tracker")
pytest.importorskip("mir_eval")

from recipes.evaluators import beats, clap, corpus
from recipes.evaluators.augment import augment_beats, augment_clap
from recipes.evaluators.beats import (
    FRAME_RATE,
    PIECE_FRAMES,
    Pieces,
    concatenate_pieces,
    train_beat_tracker,
)
from recipes.evaluators.captions import (
    ATTRIBUTES,
    UNKNOWN,
    build_tokenizer,
    caption,
    value_captions,
)
from recipes.evaluators.clicks import click_track
from recipes.evaluators.features import FLOOR_DB, WINDOW_FRAMES, clap_features
from recipes.evaluators.grooves import BPM, groove
from recipes.evaluators.performances import (
    SIBLINGS,
    UNSEEN_PROGRESSIONS,
    perform,
    play_as_composed,
    tempo_word,
)
from recipes.evaluators.settings import MINIATURE

from tests.measures.sounds import noise, silence
from tests.recipes.training_runs import assert_equal_states, train_with_interruption
from tonearm.datasets.rendering.compose import FRAME_RATE as FRAMES_PER_SECOND
from tonearm.datasets.rendering.compose import PROGRESSIONS, compose
from tonearm.datasets.rendering.styles import LEADS
from tonearm.evaluators.beat_this import BeatThisTracker, spectrogram

SEEDS = range(60)
FRAMES = 275  # 11 s


class ToneSynth:
    """Replacement of the synthesizer: a decaying tone per note."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate

    def play(self, notes, programs, frames: int, kit: int = 0) -> np.ndarray:
        per_frame = self.sample_rate / FRAMES_PER_SECOND
        audio = np.zeros(round(frames * per_frame), np.float32)
        time = np.arange(self.sample_rate // 10) / self.sample_rate
        for note in notes:
            start = round(note.frame * per_frame)
            sound = (
                0.1
                * np.sin(2 * np.pi * 440 * 2 ** ((note.key - 69) / 12) * time)
                * np.exp(-40 * time)
            )
            audio[start : start + len(sound)] += (
                sound[: len(audio) - start] if start < len(audio) else 0
            )
        return audio

    mix = play


def test_a_performance_has_notes_on_its_beats_and_the_requested_length() -> None:
    for seed in SEEDS:
        score = perform(seed, FRAMES)
        assert score == perform(seed, FRAMES)
        np.testing.assert_allclose(np.diff(score.beats), 60 / float(score.labels["bpm"]), rtol=1e-4)
        assert score.downbeats == score.beats[::4]
        starts = np.array([note.frame for note in score.notes]) / FRAMES_PER_SECOND
        nearest = [np.abs(starts - beat).min() for beat in score.beats[:-1]]
        assert np.mean(np.array(nearest) < 0.04) >= 0.5  # sparse pieces play every other beat
        assert starts.max() > FRAMES / FRAMES_PER_SECOND - 2 * 60 / float(score.labels["bpm"])


def test_a_piece_as_composed_has_all_beats_on_codec_frames() -> None:
    for seed in SEEDS:
        score = play_as_composed(seed, FRAMES)
        frames = np.array(score.beats) * FRAMES_PER_SECOND
        np.testing.assert_allclose(frames, np.round(frames), atol=1e-9)
        assert score.notes == compose(seed, frames=FRAMES).notes
        assert (score.room, score.kit) == (0, 0)
    assert any(
        play_as_composed(seed, FRAMES).notes != play_as_composed(seed, FRAMES, held_out=True).notes
        for seed in range(3)
    )


def test_held_out_performances_have_their_own_progressions() -> None:
    for mode, progressions in UNSEEN_PROGRESSIONS.items():
        assert not set(progressions) & set(PROGRESSIONS[mode])
    assert any(
        perform(seed, FRAMES).notes != perform(seed, FRAMES, held_out=True).notes
        for seed in range(3)
    )


def test_every_instrument_uses_its_own_programs() -> None:
    assert SIBLINGS.keys() == LEADS.keys()
    for seed in SEEDS:
        score = perform(seed, FRAMES)
        assert score.programs[0] in {
            *SIBLINGS[score.labels["lead"]],
            LEADS[str(score.labels["lead"])].program,
        }


def test_tempos_between_two_words_have_none() -> None:
    assert [tempo_word(bpm) for bpm in (60, 87, 90, 92, 127, 130, 136, 190)] == [
        "slow",
        "slow",
        None,
        "medium",
        "medium",
        None,
        "fast",
        "fast",
    ]


def test_labels_of_grooves_agree_with_their_beats() -> None:
    for seed in range(200):
        score = groove(seed, FRAMES)
        gaps = np.diff(score.beats)
        assert (gaps > 0).all() and 60 / gaps.mean() == pytest.approx(
            float(score.labels["bpm"]), rel=0.12
        )
        assert BPM[0] <= float(score.labels["bpm"]) <= BPM[1]
        assert set(score.downbeats) <= set(score.beats)
        places = [score.beats.index(downbeat) for downbeat in score.downbeats]
        assert all(b - a == score.labels["meter"] for a, b in pairwise(places))
        assert score.notes and all(note.frame >= 0 and 0 < note.key < 128 for note in score.notes)


def test_a_click_track_clicks_on_its_beats_only() -> None:
    for seed in range(20):
        clip, beats = click_track(np.random.default_rng(seed), 10.0, 8_000)
        assert len(beats) >= 8 and np.diff(beats).std() < 1e-9
        loud = np.flatnonzero(np.abs(clip.samples[0]) > 0.02) / clip.sample_rate
        assert all(((loud >= beat) & (loud < beat + 0.01)).any() for beat in beats)
        assert all(min(abs(at - beats)) < 0.081 for at in loud)


def test_a_caption_contains_exactly_the_labels_it_names() -> None:
    for seed in range(300):
        labels = perform(seed, FRAMES).labels
        written = caption(labels, np.random.default_rng(seed))
        assert written.named and written.is_true_of(labels)
        words = set(written.text.replace(",", "").split())
        for attribute, value in written.named.items():
            assert labels[attribute] == value
        for tempo, synonyms in ATTRIBUTES["tempo"].items():
            assert written.named.get("tempo") == tempo or not words & set(synonyms)


def test_a_caption_matches_exactly_the_clips_with_its_labels() -> None:
    labels = [
        {"genre": "jazz", "lead": "flute"},
        {"genre": "jazz"},
        {"genre": "rock", "lead": "flute"},
    ]
    captions = [
        clap.Caption("jazz", {"genre": "jazz"}),
        clap.Caption("flute", {"lead": "flute"}),
        clap.Caption("", {"genre": "rock", "lead": "flute"}),
    ]
    assert clap.match_matrix(captions, labels).tolist() == [[1, 1, 0], [1, 0, 0], [0, 1, 1]]


def test_the_tokenizer_has_every_caption_word_and_maps_others_to_unknown() -> None:
    tokenizer = build_tokenizer()
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        texts = [
            text for attribute in ATTRIBUTES for text in value_captions(attribute, rng).values()
        ]
        text_of_clip = caption(perform(seed, FRAMES).labels, rng).text
        for text in (*texts, text_of_clip):
            assert tokenizer(text).input_ids.count(tokenizer.unk_token_id) == text.count(UNKNOWN), (
                text
            )
    ids = tokenizer("Zydeco für flute").input_ids
    assert ids == [
        tokenizer.bos_token_id,
        tokenizer.unk_token_id,
        tokenizer.unk_token_id,
        tokenizer.convert_tokens_to_ids("flute"),
        tokenizer.eos_token_id,
    ]


def test_augmentation_preserves_shape_and_floor() -> None:
    features = clap_features(noise(11))
    assert features.shape == (551, 128)
    batch = np.repeat(features[None, :WINDOW_FRAMES], 20, axis=0)
    varied = augment_clap(batch, np.random.default_rng(0))
    assert varied.shape == batch.shape and varied.dtype == np.float32
    assert varied.min() >= FLOOR_DB and np.isfinite(varied).all()
    assert len({float(window.mean()) for window in varied}) == 20
    assert (clap_features(silence(1)) == FLOOR_DB).all()

    piece = spectrogram(noise(2)).numpy()
    for seed in range(20):
        changed = augment_beats(piece, np.random.default_rng(seed))
        assert changed.shape == piece.shape and np.isfinite(changed).all() and changed.min() >= 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of a miniature run of both evaluators."""
    out = tmp_path_factory.mktemp("evaluators")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "Renderer", ToneSynth)
        corpus.make_corpus(out / "corpus", MINIATURE, processes=1)
    clap.train_clap(out / "corpus", out, MINIATURE)
    train_beat_tracker(out / "corpus", out, MINIATURE)
    return out


def test_beat_targets_are_at_onsets(made: Path) -> None:
    """Spectral flux rises in the frames labelled as beats."""
    pieces = Pieces(made / "corpus", "train")
    row, truth = pieces.rows[0], pieces.truths[0]
    flux = np.maximum(0, np.diff(np.asarray(row[0], np.float32), axis=0)).sum(1)
    frames = np.round(np.array(truth["beats"][1:-1]) * FRAME_RATE).astype(int)
    near = np.mean([flux[frame - 3 : frame + 3].max() for frame in frames])
    assert near > 2 * flux.mean()


def test_concatenated_pieces_keep_their_targets(made: Path) -> None:
    spectrograms, targets = Pieces(made / "corpus", "train").draw(
        np.arange(4), np.random.default_rng(0)
    )
    assert spectrograms.shape == (4, PIECE_FRAMES, 128) and targets.shape == (4, 2, PIECE_FRAMES)
    rows, aims = concatenate_pieces(spectrograms, 2, 1), concatenate_pieces(targets, 2, 2)
    assert rows.shape == (2, 2 * PIECE_FRAMES, 128) and aims.shape == (2, 2, 2 * PIECE_FRAMES)
    torch.testing.assert_close(rows[1, PIECE_FRAMES:], spectrograms[3])
    torch.testing.assert_close(aims[1, :, PIECE_FRAMES:], targets[3])


def test_trained_evaluators_load_as_ordinary_checkpoints(made: Path) -> None:
    from transformers import ClapModel, ClapProcessor

    model, processor = (
        ClapModel.from_pretrained(made / "clap"),
        ClapProcessor.from_pretrained(made / "clap"),
    )
    assert model.dtype == torch.float32
    samples = noise(10).mono
    inputs = processor(
        text=["jazz", "no such word"],
        audio=[samples],
        sampling_rate=16_000,
        padding=True,
        return_tensors="pt",
    )
    assert inputs["input_features"].shape == (1, 1, WINDOW_FRAMES, 128)
    with torch.inference_mode():
        assert torch.isfinite(model.eval()(**inputs).logits_per_audio).all()
    BeatThisTracker(made / "beats.ckpt").track(noise(3))


@pytest.mark.parametrize(
    ("module", "train", "steps"),
    [(clap, clap.train_clap, "clap_steps"), (beats, beats.train_beat_tracker, "beat_steps")],
)
def test_a_resumed_run_ends_with_the_state_of_an_uninterrupted_one(
    made: Path, tmp_path: Path, module, train, steps: str
) -> None:
    """Weights, Adam moments and step are equal bit by bit, two steps after the interruption."""
    settings = replace(MINIATURE, **{steps: 4}, checkpoint_every=2)
    folders = [tmp_path / name for name in ("uninterrupted", "resumed")]
    for folder in folders:
        folder.mkdir()
    train(made / "corpus", folders[0], settings)
    train_with_interruption(module, 2, lambda: train(made / "corpus", folders[1], settings))
    name = "clap.pt" if module is clap else "beats.pt"
    assert_equal_states(folders[0] / name, folders[1] / name, steps=4)
