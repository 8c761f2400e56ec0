"""Instrument classifier of the model card, on sounds with known labels."""

import numpy as np
import pytest
import torch
from recipes.pocket.instrument_classifier import (
    BANDS,
    CROP,
    InstrumentClassifier,
    augment,
    energies,
    label_values,
    mel_power,
    predict_labels,
    train_classifier,
)

LABELS = [
    {"genre": "rock", "lead": "tone", "mode": "major"},
    {"genre": "jazz", "lead": "noise", "mode": "minor"},
]


def sounds(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, list[dict]]:
    """Tones of random pitch and noises of random spectrum, at random levels, as int16."""
    labels = [LABELS[int(rng.integers(2))] for _ in range(rows)]
    time = np.arange(CROP) / 16_000
    samples = []
    for label in labels:
        if label["lead"] == "tone":
            pitch = rng.uniform(200, 2000)
            sound = sum(
                np.sin(2 * np.pi * partial * pitch * time) / partial for partial in (1, 2, 3)
            )
        else:
            sound = np.convolve(rng.standard_normal(CROP), rng.standard_normal(4), "same")
        samples.append(sound / np.abs(sound).max() * rng.uniform(0.05, 1) * 32767)
    return np.stack(samples).astype(np.int16), labels


@pytest.fixture(scope="module")
def classifier() -> InstrumentClassifier:
    return train_classifier(lambda rng: sounds(rng, 8), LABELS, steps=40)


def test_it_learns_to_classify_sounds_at_any_level(classifier):
    samples, labels = sounds(np.random.default_rng(1), 16)
    for level in (1.0, 0.1):
        assert predict_labels(classifier, (level * samples).astype(np.int16)) == labels


def test_mel_power_has_frames_of_10_ms_in_two_resolutions():
    power = mel_power(torch.randn(2, CROP))
    assert power.shape == (2, 2, BANDS, CROP // 160 + 1)
    louder = energies(mel_power(torch.ones(1, CROP).cumsum(-1).sin() * 0.5))
    assert torch.allclose(
        louder, energies(mel_power(torch.ones(1, CROP).cumsum(-1).sin() * 0.05)), atol=0.05
    )


def test_augmentation_preserves_loud_bands_and_masks_soft_ones():
    power = torch.full((8, 2, BANDS, 50), 1e-9)
    power[:, :, 20] = 1.0
    augmented = augment(power, np.random.default_rng(0))
    assert (augmented[:, :, 20].mean((1, 2)).log10().abs() < 1.5).all()
    assert (augmented[:, :, 60].mean((1, 2)) > 1e-8).all()


def test_label_values_are_sorted():
    assert label_values(LABELS) == {
        "genre": ["jazz", "rock"],
        "lead": ["noise", "tone"],
        "mode": ["major", "minor"],
    }
