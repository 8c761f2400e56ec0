"""The recipe of the ears: ground truth, captions, what is true of what, and the whole of it in miniature. No FluidSynth needed."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("beat_this.model.beat_tracker")
pytest.importorskip("mir_eval")

from recipes.evaluators import clap, corpus
from recipes.evaluators.augment import vary_beats, vary_judge
from recipes.evaluators.beats import FRAME_RATE, PIECE_FRAMES, Pieces, in_rows, train_beats
from recipes.evaluators.captions import ATTRIBUTES, UNKNOWN, build_tokenizer, caption, value_captions
from recipes.evaluators.clicks import click_track
from recipes.evaluators.features import FLOOR_DB, WINDOW_FRAMES, judge_features
from recipes.evaluators.grooves import BPM, groove
from recipes.evaluators.performances import SIBLINGS, UNSEEN_PROGRESSIONS, perform, play_plainly, tempo_word
from recipes.evaluators.settings import MINIATURE
from recipes.pocket.compose import FRAME_RATE as FRAMES_PER_SECOND
from recipes.pocket.compose import PROGRESSIONS, compose
from recipes.pocket.styles import LEADS

from tests.measures.sounds import noise, silence
from tonearm.evaluators.beat_this import BeatThisTracker, spectrogram

SEEDS = range(60)
FRAMES = 275  # 11 s


class Clicker:
    """In place of the synthesizer: a decaying tone for each note."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate

    def play(self, notes, programs, frames: int, kit: int = 0) -> np.ndarray:
        per_frame = self.sample_rate / FRAMES_PER_SECOND
        audio = np.zeros(round(frames * per_frame), np.float32)
        time = np.arange(self.sample_rate // 10) / self.sample_rate
        for note in notes:
            start = round(note.frame * per_frame)
            sound = 0.1 * np.sin(2 * np.pi * 440 * 2 ** ((note.key - 69) / 12) * time) * np.exp(-40 * time)
            audio[start : start + len(sound)] += sound[: len(audio) - start] if start < len(audio) else 0
        return audio

    mix = play


def test_a_performance_plays_on_its_beats_and_lasts_as_long_as_asked() -> None:
    for seed in SEEDS:
        score = perform(seed, FRAMES)
        assert score == perform(seed, FRAMES)
        np.testing.assert_allclose(np.diff(score.beats), 60 / float(score.labels["bpm"]), rtol=1e-4)
        assert score.downbeats == score.beats[::4]
        starts = np.array([note.frame for note in score.notes]) / FRAMES_PER_SECOND
        nearest = [np.abs(starts - beat).min() for beat in score.beats[:-1]]
        assert np.mean(np.array(nearest) < 0.04) >= 0.5  # sparse pieces play every other beat
        assert starts.max() > FRAMES / FRAMES_PER_SECOND - 2 * 60 / float(score.labels["bpm"])


def test_a_piece_played_plainly_begins_all_its_beats_on_frames_of_the_codec() -> None:
    for seed in SEEDS:
        score = play_plainly(seed, FRAMES)
        frames = np.array(score.beats) * FRAMES_PER_SECOND
        np.testing.assert_allclose(frames, np.round(frames), atol=1e-9)
        assert score.notes == compose(seed, frames=FRAMES).notes
        assert (score.room, score.kit) == (0, 0)
    assert any(play_plainly(seed, FRAMES).notes != play_plainly(seed, FRAMES, held_out=True).notes for seed in range(3))


def test_held_out_performances_share_no_progression_with_the_others() -> None:
    for mode, progressions in UNSEEN_PROGRESSIONS.items():
        assert not set(progressions) & set(PROGRESSIONS[mode])
    assert any(perform(seed, FRAMES).notes != perform(seed, FRAMES, held_out=True).notes for seed in range(3))


def test_every_instrument_is_played_by_its_own_programs() -> None:
    assert SIBLINGS.keys() == LEADS.keys()
    for seed in SEEDS:
        score = perform(seed, FRAMES)
        assert score.programs[0] in {*SIBLINGS[score.labels["lead"]], LEADS[str(score.labels["lead"])].program}


def test_between_two_tempo_words_there_is_none() -> None:
    assert [tempo_word(bpm) for bpm in (60, 87, 90, 92, 127, 130, 136, 190)] == [
        "slow", "slow", None, "medium", "medium", None, "fast", "fast",
    ]  # fmt: skip


def test_grooves_hold_their_truth() -> None:
    for seed in range(200):
        score = groove(seed, FRAMES)
        gaps = np.diff(score.beats)
        assert (gaps > 0).all() and 60 / gaps.mean() == pytest.approx(float(score.labels["bpm"]), rel=0.12)
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


def test_a_caption_says_what_it_names_and_nothing_else() -> None:
    for seed in range(300):
        labels = perform(seed, FRAMES).labels
        said = caption(labels, np.random.default_rng(seed))
        assert said.named and said.fits(labels)
        words = set(said.text.replace(",", "").split())
        for attribute, value in said.named.items():
            assert labels[attribute] == value
        for tempo, synonyms in ATTRIBUTES["tempo"].items():
            assert said.named.get("tempo") == tempo or not words & set(synonyms)


def test_a_caption_is_true_of_every_clip_with_its_labels_and_of_no_other() -> None:
    labels = [{"genre": "jazz", "lead": "flute"}, {"genre": "jazz"}, {"genre": "rock", "lead": "flute"}]
    captions = [
        clap.Caption("jazz", {"genre": "jazz"}),
        clap.Caption("flute", {"lead": "flute"}),
        clap.Caption("", {"genre": "rock", "lead": "flute"}),
    ]
    assert clap.truth(captions, labels).tolist() == [[1, 1, 0], [1, 0, 0], [0, 1, 1]]


def test_the_tokenizer_knows_every_word_and_takes_any_other_for_unknown() -> None:
    tokenizer = build_tokenizer()
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        texts = [text for attribute in ATTRIBUTES for text in value_captions(attribute, rng).values()]
        said = caption(perform(seed, FRAMES).labels, rng).text
        for text in (*texts, said):
            assert tokenizer(text).input_ids.count(tokenizer.unk_token_id) == text.count(UNKNOWN), text
    ids = tokenizer("Zydeco für flute").input_ids
    assert ids == [
        tokenizer.bos_token_id, tokenizer.unk_token_id, tokenizer.unk_token_id,
        tokenizer.convert_tokens_to_ids("flute"), tokenizer.eos_token_id,
    ]  # fmt: skip


def test_variations_keep_shape_time_and_floor() -> None:
    features = judge_features(noise(11))
    assert features.shape == (551, 128)
    batch = np.repeat(features[None, :WINDOW_FRAMES], 20, axis=0)
    varied = vary_judge(batch, np.random.default_rng(0))
    assert varied.shape == batch.shape and varied.dtype == np.float32
    assert varied.min() >= FLOOR_DB and np.isfinite(varied).all()
    assert len({float(window.mean()) for window in varied}) == 20
    assert (judge_features(silence(1)) == FLOOR_DB).all()

    piece = spectrogram(noise(2)).numpy()
    for seed in range(20):
        changed = vary_beats(piece, np.random.default_rng(seed))
        assert changed.shape == piece.shape and np.isfinite(changed).all() and changed.min() >= 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe from seeds to both ears, in miniature."""
    out = tmp_path_factory.mktemp("ears")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "Renderer", Clicker)
        corpus.make_corpus(out / "corpus", MINIATURE, processes=1)
    clap.train_judge(out / "corpus", out, MINIATURE)
    train_beats(out / "corpus", out, MINIATURE)
    return out


def test_targets_lie_where_the_sound_begins(made: Path) -> None:
    """The spectrogram rises in the frames that are called beats."""
    pieces = Pieces(made / "corpus", "train")
    row, truth = pieces.rows[0], pieces.truths[0]
    flux = np.maximum(0, np.diff(np.asarray(row[0], np.float32), axis=0)).sum(1)
    frames = np.round(np.array(truth["beats"][1:-1]) * FRAME_RATE).astype(int)
    near = np.mean([flux[frame - 3 : frame + 3].max() for frame in frames])
    assert near > 2 * flux.mean()


def test_pieces_behind_each_other_keep_their_targets(made: Path) -> None:
    spectrograms, targets = Pieces(made / "corpus", "train").draw(np.arange(4), np.random.default_rng(0))
    assert spectrograms.shape == (4, PIECE_FRAMES, 128) and targets.shape == (4, 2, PIECE_FRAMES)
    rows, aims = in_rows(spectrograms, 2, 1), in_rows(targets, 2, 2)
    assert rows.shape == (2, 2 * PIECE_FRAMES, 128) and aims.shape == (2, 2, 2 * PIECE_FRAMES)
    torch.testing.assert_close(rows[1, PIECE_FRAMES:], spectrograms[3])
    torch.testing.assert_close(aims[1, :, PIECE_FRAMES:], targets[3])


def test_what_comes_out_loads_as_any_checkpoint_of_its_kind(made: Path) -> None:
    from transformers import ClapModel, ClapProcessor

    model, processor = ClapModel.from_pretrained(made / "judge"), ClapProcessor.from_pretrained(made / "judge")
    assert model.dtype == torch.float32
    wave = noise(10).mono
    inputs = processor(
        text=["jazz", "no such word"], audio=[wave], sampling_rate=16_000, padding=True, return_tensors="pt"
    )
    assert inputs["input_features"].shape == (1, 1, WINDOW_FRAMES, 128)
    with torch.inference_mode():
        assert torch.isfinite(model.eval()(**inputs).logits_per_audio).all()
    BeatThisTracker(made / "beats.ckpt").track(noise(3))


def test_training_goes_on_where_it_stopped(made: Path) -> None:
    """The last step alone, taken up from the state at step two, gives the same weights as going through."""
    first = (made / "beats.ckpt").read_bytes()
    train_beats(made / "corpus", made, MINIATURE)
    assert torch.load(made / "beats.pt", weights_only=True)["step"] == 2
    before, after = (
        torch.load(path, weights_only=True)["state_dict"] for path in (_written(made, first), made / "beats.ckpt")
    )
    assert all(torch.allclose(before[name].float(), after[name].float(), atol=2e-3) for name in before)


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "first.ckpt"
    path.write_bytes(content)
    return path
