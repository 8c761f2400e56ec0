"""Loudness, sample peak and true peak of planted levels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.measures.sounds import noise, silence, tone
from tonearm.audio import Clip
from tonearm.measures import measure_loudness, measure_peak, measure_true_peak


def test_a_full_scale_997_hz_tone_is_at_minus_3_lufs() -> None:
    # The calibration point of ITU-R BS.1770: 0 dBFS, 997 Hz, one front channel -> -3.01 LKFS.
    assert measure_loudness(tone(997, 3, amplitude=1.0, sample_rate=48_000)).value == pytest.approx(
        -3.01, abs=0.05
    )


def test_halving_takes_six_decibels_off_both() -> None:
    clip = noise(2)
    half = Clip(clip.samples / 2, clip.sample_rate)
    for measure in (measure_loudness, measure_peak):
        assert measure(clip).value - measure(half).value == pytest.approx(6.02, abs=0.01)


def test_peak_is_the_largest_sample_of_any_channel_and_of_either_sign() -> None:
    assert measure_peak(Clip(np.array([[0.1, 0.2], [-0.5, 0.0]]), 16_000)).value == pytest.approx(
        -6.02, abs=0.01
    )


@pytest.mark.parametrize("clip", [silence(), silence(0)])
def test_silence_has_neither(clip: Clip) -> None:
    assert measure_loudness(clip).value is None
    assert measure_peak(clip).value is None


def test_under_one_gating_block_there_is_a_peak_and_no_loudness() -> None:
    assert measure_loudness(tone(440, 0.1)).value is None
    assert measure_peak(tone(440, 0.1)).value == pytest.approx(-6.02, abs=0.1)


def test_true_peak_is_found_between_the_samples() -> None:
    # A quarter of the sample rate at 45 degrees: each sample is at 0.707 of the peak.
    clip = Clip(np.sin(np.pi / 2 * np.arange(48_000) + np.pi / 4) * np.hanning(48_000), 48_000)
    assert measure_peak(clip).value == pytest.approx(-3.01, abs=0.01)
    assert measure_true_peak(clip).value == pytest.approx(0, abs=0.05)


def test_the_true_peak_of_997_hz_at_full_scale_is_0_dbtp() -> None:
    fade = np.minimum(1, np.minimum(np.arange(48_000), np.arange(48_000)[::-1]) / 4800)
    clip = Clip(tone(997, 1, amplitude=1.0, sample_rate=48_000).samples * fade, 48_000)
    assert measure_true_peak(clip).value == pytest.approx(0, abs=0.01)


@given(seed=st.integers(0, 1000), gain=st.floats(0.01, 4))
def test_true_peak_is_never_below_the_peak_and_follows_the_gain(seed: int, gain: float) -> None:
    clip = noise(0.05, seed=seed)
    assert measure_true_peak(clip).value >= measure_peak(clip).value
    louder = Clip(clip.samples * gain, clip.sample_rate)
    assert measure_true_peak(louder).value - measure_true_peak(clip).value == pytest.approx(
        20 * np.log10(gain), abs=1e-3
    )


def test_no_true_peak_of_silence_or_nan() -> None:
    for clip in (silence(), silence(0), Clip(np.array([0.1, np.nan]), 16_000)):
        assert measure_true_peak(clip).value is None
