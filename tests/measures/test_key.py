"""Key of cadences and of noise."""

import mir_eval
import numpy as np
import pytest

from tests.measures.sounds import SAMPLE_RATE, noise, silence
from tonearm.audio import Clip
from tonearm.measures.key import MODES, PROFILES, TONICS, key_fits, measure_key

CADENCE = {"major": (0, 3, 4, 0), "minor": (0, 3, 6, 0)}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}


def cadence(tonic: int, mode: str, sample_rate: int = SAMPLE_RATE, cents: float = 0.0) -> Clip:
    """Four triads of 0.75 s, each note with four harmonics, above the tonic's bass."""
    time = np.arange(round(0.75 * sample_rate)) / sample_rate

    def note(semitones: float) -> np.ndarray:
        hz = 130.81 * 2 ** ((semitones + cents / 100) / 12)
        return sum(
            np.sin(2 * np.pi * hz * harmonic * time) / harmonic**2 for harmonic in range(1, 5)
        )

    def pitch(degree: int) -> int:
        octave, step = divmod(degree, 7)
        return tonic + 12 * octave + SCALES[mode][step]

    chords = [
        note(tonic) + sum(note(pitch(root + third)) for third in (0, 2, 4))
        for root in CADENCE[mode]
    ]
    return Clip(0.1 * np.concatenate(chords), sample_rate)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("tonic", range(12))
def test_a_cadence_is_in_its_key(tonic: int, mode: str) -> None:
    found = measure_key(cadence(tonic, mode))
    assert mir_eval.key.weighted_score(f"{TONICS[tonic]} {mode}", found.key) == 1
    assert (found.majorness > 0) is (mode == "major")
    assert found.confidence > 0.01


def test_neither_gain_nor_sample_rate_nor_tuning_changes_the_key() -> None:
    clip = cadence(2, "minor", 32_000)
    for other in (
        Clip(clip.samples / 50, 32_000),
        clip.resampled(8_000),
        clip.resampled(44_100),
        cadence(2, "minor", cents=30),
    ):
        assert measure_key(other).key == "D minor"
    assert measure_key(Clip(clip.samples.repeat(2, 0), 32_000)) == measure_key(clip)


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize("mode", (0, 1))
def test_a_profile_fits_its_own_key_perfectly_and_rotates_with_it(mode: int, tonic: int) -> None:
    fits = key_fits(np.roll(PROFILES[mode], tonic))
    assert fits[mode, tonic] == pytest.approx(1)
    assert (fits <= 1 + 1e-12).all()
    np.testing.assert_allclose(
        fits, np.roll(key_fits(np.array(PROFILES[mode])), tonic, axis=1), atol=1e-12
    )


def test_neither_level_nor_offset_of_the_chroma_matters() -> None:
    chroma = np.random.default_rng(0).random(12)
    np.testing.assert_allclose(key_fits(5 * chroma + 3), key_fits(chroma))


def test_noise_has_less_confidence_than_a_cadence() -> None:
    assert measure_key(noise(3)).confidence < measure_key(cadence(0, "major")).confidence


@pytest.mark.parametrize(
    "clip", [silence(3), silence(0), noise(1.9), Clip(np.full(50_000, np.nan), SAMPLE_RATE)]
)
def test_silent_and_short_clips_have_no_key(clip: Clip) -> None:
    found = measure_key(clip)
    assert (found.key, found.confidence, found.majorness) == (None, None, None)
    assert all(measurement.value is None for measurement in found.measurements)
