"""Measures of pocket's model card, on synthetic audio with known results."""

import numpy as np
import pytest
from recipes.pocket import evaluate

from tonearm.audio import Clip

RATE = 16_000


def clicks(seconds: float, until: float, apart: float = 0.5) -> Clip:
    samples = np.zeros(int(seconds * RATE), np.float32)
    for begin in np.arange(0.1, until, apart):
        at = int(begin * RATE)
        samples[at : at + 800] = 0.5 * np.sin(np.arange(800) * 0.4) * np.exp(-np.arange(800) / 200)
    return Clip(samples, RATE)


def tone(keys: list[int], seconds: float = 4.0) -> Clip:
    time = np.arange(int(seconds / len(keys) * RATE)) / RATE
    return Clip(
        np.concatenate(
            [0.3 * np.sin(2 * np.pi * 440 * 2 ** ((key - 69) / 12) * time) for key in keys]
        ).astype("f4"),
        RATE,
    )


def test_beat_share_is_high_for_the_right_beat_only():
    steady = clicks(10, until=9.9, apart=0.48)  # 12 codec frames
    noise = Clip(0.1 * np.random.default_rng(0).standard_normal(10 * RATE).astype(np.float32), RATE)
    assert evaluate.beat_share(steady, 12) > 0.8
    assert evaluate.beat_share(steady, 24) > 0.8
    assert (
        abs(evaluate.beat_share(steady, 11)) < 0.15 and abs(evaluate.beat_share(noise, 12)) < 0.15
    )
    assert evaluate.beat_share(Clip(np.zeros(10 * RATE, np.float32), RATE), 12) == pytest.approx(0)


def test_a_tempo_counts_within_8_percent_and_optionally_in_its_octaves():
    read, prompted = [100.0, 107.9, 109.0, 50.0, 200.0, None], [100.0] * 6
    assert evaluate.share_within_tolerance(read, prompted).value == pytest.approx(2 / 6)
    assert evaluate.share_within_tolerance(read, prompted, (0.5, 1, 2)).value == pytest.approx(
        4 / 6
    )


def test_chroma_correlation_distinguishes_notes_at_any_level():
    melody = [60, 64, 67, 72]
    quieter = Clip(0.1 * tone(melody).samples, RATE)
    assert evaluate.chroma_correlation(tone(melody), quieter) > 0.99
    assert evaluate.chroma_correlation(tone(melody), tone([61, 66, 70, 63])) < 0.5


def test_noise_has_the_requested_level():
    clip = tone([60])
    for decibels in (-40, -20):
        noise = evaluate.with_noise(clip, decibels, seed=0).mono - clip.mono
        assert 20 * np.log10(noise.std() / clip.mono.std()) == pytest.approx(decibels, abs=0.1)


def test_classification_accuracy_counts_predictions(monkeypatch):
    monkeypatch.setattr(
        evaluate,
        "predict_labels",
        lambda classifier, samples: [{"lead": "flute" if samples.mean() > 0 else "organ"}],
    )
    clips = [np.full(10, level, np.float32) for level in (1, 1, -1, -1)]
    assert str(
        evaluate.classification_accuracy(None, clips, "lead", ["flute", "flute", "flute", "organ"])
    ).startswith("75 %")
