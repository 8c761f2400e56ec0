"""Pulse clarity of clicks, of grains without a pulse, and of repetitions outside the range."""

import numpy as np
import pytest

from tests.measures.sounds import SAMPLE_RATE, clicks, noise, silence, tone
from tonearm.audio import Clip
from tonearm.measures.pulse_clarity import autocorrelation, highest_peak, measure_pulse_clarity

BURST = clicks(60, 1, first_seconds=0.0).samples[0, :480]


def bursts(at: np.ndarray, seconds: float = 10.0) -> Clip:
    """A burst at each time in seconds."""
    samples = np.zeros(round(seconds * SAMPLE_RATE))
    for first in (at * SAMPLE_RATE).astype(int):
        samples[first : first + len(BURST)] += BURST[: len(samples) - first]
    return Clip(samples, SAMPLE_RATE)


@pytest.mark.parametrize("bpm", [47, 60, 93, 120, 171, 230])
def test_clicks_at_any_tempo_are_clear(bpm: float) -> None:
    """The period need not be a whole number of frames, nor the overlap the whole clip."""
    assert measure_pulse_clarity(clicks(bpm)).number > 0.85


def test_it_falls_with_the_deviation_of_the_onsets() -> None:
    rng = np.random.default_rng(0)
    beats, deviations = np.arange(0.5, 9.5, 0.5), rng.standard_normal(18)
    clarity = [
        measure_pulse_clarity(bursts(beats + sd * deviations)).number for sd in (0, 0.01, 0.03, 0.1)
    ]
    assert clarity == sorted(clarity, reverse=True)
    assert clarity[1] > 0.6 and clarity[3] < 0.4


def test_random_onsets_have_little() -> None:
    rng = np.random.default_rng(0)
    clarity = [
        measure_pulse_clarity(bursts(np.sort(rng.uniform(0.3, 9.7, 30)))).number for _ in range(10)
    ]
    assert np.mean(clarity) < 0.3


@pytest.mark.parametrize("period", [0.2, 0.15])
def test_a_faster_repetition_counts_at_its_multiples(period: float) -> None:
    assert measure_pulse_clarity(bursts(np.arange(0.3, 9.7, period))).number > 0.85


def test_a_slower_repetition_than_the_range_has_none() -> None:
    assert measure_pulse_clarity(bursts(np.arange(0.3, 19.7, 1.7), 20)).number < 0.1


def test_the_autocorrelation_does_not_shrink_with_the_lag() -> None:
    """A pulse over a slow lag repeats as exactly as over a fast one."""
    flux = np.zeros(1250, np.float32)
    flux[20::125] = 1  # every second
    correlation = autocorrelation(flux)
    assert correlation[0] == pytest.approx(1)
    assert correlation[125] == pytest.approx(1, abs=0.02)


def test_only_a_local_maximum_between_the_lags_counts() -> None:
    slope = np.linspace(1, 0, 190)
    assert highest_peak(slope) == 0
    slope[100] = 0.7
    assert highest_peak(slope) == pytest.approx(0.7)
    assert highest_peak(np.where(np.arange(190) == 20, 0.9, slope)) == pytest.approx(0.7)


def test_neither_gain_nor_channels_nor_sample_rate_change_it() -> None:
    clip = clicks(97)
    clarity = measure_pulse_clarity(clip).number
    assert measure_pulse_clarity(Clip(clip.samples / 64, clip.sample_rate)).number == pytest.approx(
        clarity, abs=1e-3
    )
    assert measure_pulse_clarity(
        Clip(clip.samples.repeat(2, 0), clip.sample_rate)
    ).number == pytest.approx(clarity, abs=1e-6)
    assert measure_pulse_clarity(clip.resampled(32_000)).number == pytest.approx(clarity, abs=0.02)


@pytest.mark.parametrize("clip", [noise(5), tone(440, 5)], ids=["noise", "tone"])
def test_a_steady_sound_has_no_pulse(clip: Clip) -> None:
    assert measure_pulse_clarity(clip).number == 0


@pytest.mark.parametrize("clip", [silence(), silence(0), silence(10), clicks(120, 3.9)])
def test_silent_and_short_clips_have_no_value(clip: Clip) -> None:
    assert measure_pulse_clarity(clip).value is None
