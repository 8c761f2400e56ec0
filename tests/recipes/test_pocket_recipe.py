"""The recipe's own logic: ground truth, captions, teacher forcing, the quantiser's start. No training here."""

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from recipes.pocket import words
from recipes.pocket.captions import BPM_WORDS, UNKNOWN, build_tokenizer, caption
from recipes.pocket.codec import TrainedQuantizer, build_codec, reconstruction_loss
from recipes.pocket.compose import BEAT_FRAMES, FRAMES_PER_CLIP, compose
from recipes.pocket.decoder import IGNORED, drop_history, teacher_forced
from recipes.pocket.settings import Settings

SEEDS = range(60)


def test_a_seed_is_a_piece_for_ever():
    assert all(compose(seed) == compose(seed) for seed in SEEDS)
    assert len({tuple(compose(seed).notes) for seed in SEEDS}) == len(SEEDS)


def test_every_piece_plays_on_its_beats():
    for seed in SEEDS:
        piece = compose(seed)
        assert abs(piece.bpm * piece.beat_frames - 1500) < 1e-9  # 60 s x 25 frames
        assert piece.tempo in BEAT_FRAMES
        starts = {note.frame for note in piece.notes}
        beats = set(range(0, FRAMES_PER_CLIP, piece.beat_frames))
        assert len(starts & beats) >= 0.5 * len(beats)
        assert all(
            0 <= note.frame < FRAMES_PER_CLIP and 0 < note.key < 128 and note.velocity > 0 for note in piece.notes
        )


def test_labels_are_balanced():
    genres = [compose(seed).genre for seed in range(700)]
    assert all(60 <= genres.count(genre) <= 140 for genre in words.GENRE)


def test_captions_fit_and_hold_no_word_that_the_tokenizer_lacks(tmp_path):
    tokenizer = build_tokenizer(24, tmp_path)
    for seed in range(200):
        text = caption(compose(seed).labels(), np.random.default_rng(seed))
        ids = tokenizer(text).input_ids
        assert len(ids) <= 24 and ids[-1] == tokenizer.eos_token_id
        assert ids.count(tokenizer.unk_token_id) == text.count(UNKNOWN)
    assert all(len(tokenizer(str(bpm)).input_ids) == 2 for bpm in BPM_WORDS)


def test_a_caption_never_names_another_value_of_a_label():
    for seed in range(300):
        labels = compose(seed).labels()
        said = set(caption(labels, np.random.default_rng(seed)).replace(",", "").split())
        for tempo, synonyms in words.TEMPO.items():
            assert tempo == labels["tempo"] or not said & set(synonyms)
        for brightness, synonyms in words.BRIGHTNESS.items():
            assert brightness == labels["brightness"] or not said & set(synonyms)


def test_teacher_forcing_predicts_each_code_from_what_came_before():
    codes = torch.arange(12).view(1, 3, 4)
    inputs, targets = teacher_forced(codes, bos=99)
    assert inputs.shape == targets.shape == (1, 3, 6)
    assert inputs[0].tolist() == [[99, 0, 1, 2, 3, 99], [99, 99, 4, 5, 6, 7], [99, 99, 99, 8, 9, 10]]
    assert targets[0].tolist() == [
        [0, 1, 2, 3, IGNORED, IGNORED],
        [IGNORED, 4, 5, 6, 7, IGNORED],
        [IGNORED, IGNORED, 8, 9, 10, 11],
    ]


def test_history_is_dropped_in_about_half_of_the_rows_and_for_all_books_at_once():
    inputs = torch.zeros(400, 2, 50, dtype=torch.int64)
    dropped = drop_history(inputs, 7, 0.5, np.random.default_rng(0)) == 7
    assert (dropped[:, 0] == dropped[:, 1]).all()
    share = dropped[:, 0].float().mean(1)
    assert 0.4 < (share > 0).float().mean() < 0.6
    assert 0.15 < (share == 1).float().mean() < 0.35
    assert not inputs.any()


def test_the_quantiser_starts_close_to_planted_centres():
    torch.manual_seed(0)
    codec = build_codec(Settings(codebooks=2, codebook_size=16))
    centres = 10 * torch.randn(16, 128)
    latents = centres[torch.arange(1600) % 16] + 0.1 * torch.randn(1600, 128)
    quantizer = TrainedQuantizer(codec)
    quantizer.start(latents)
    codes = codec.quantizer.encode(latents.T[None])
    error = (codec.quantizer.decode(codes)[0].T - latents).norm(dim=1).mean()
    assert error < 0.25 * latents.norm(dim=1).mean()


def test_the_loss_is_least_for_the_original_and_does_not_depend_on_its_level():
    torch.manual_seed(0)
    original = 0.1 * torch.randn(2, 1, 10240)
    worse = original + 0.05 * torch.randn_like(original)
    assert reconstruction_loss(original, original) < 1e-3 < reconstruction_loss(worse, original)
    loud, quiet = reconstruction_loss(worse, original), reconstruction_loss(0.3 * worse, 0.3 * original)
    assert abs(loud - quiet) < 0.1 * loud
