"""Held tones, static spectra and comb buzz of clips with planted ones, and the faults they make."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.measures.sounds import SAMPLE_RATE, clicks, noise, silence, tone
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import (
    describe,
    faults,
    measure_comb_buzz,
    measure_held_tones,
    measure_static,
)

BROKEN = Clip(np.full(10 * SAMPLE_RATE, np.nan), SAMPLE_RATE)


def note(hz: float, seconds: float, decay: float = 0.0) -> np.ndarray:
    """A note of five partials with an attack of 10 ms and a decay in dB per second."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    partials = sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 6))
    edge = np.minimum(1, np.minimum(time, time[::-1]) / 0.01)
    return 0.1 * edge * partials * 10 ** (-decay * time / 20)


def played(notes: Sequence[tuple[float, float, float]], seconds: float, decay: float = 0) -> Clip:
    """Notes as (start, length, Hz)."""
    samples = np.zeros(round(seconds * SAMPLE_RATE))
    for start, length, hz in notes:
        first = round(start * SAMPLE_RATE)
        sound = note(hz, length, decay)[: len(samples) - first]
        samples[first : first + len(sound)] += sound
    return Clip(samples, SAMPLE_RATE)


def scale(seconds: float, step: float = 0.5) -> list[tuple[float, float, float]]:
    hertz = 262 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 9, 5, 2]) / 12)
    starts = np.arange(0, seconds, step)
    return [(start, 0.9 * step, float(hertz[i % 11])) for i, start in enumerate(starts)]


DRONE = played([(0, 10, 110)], 10)
MELODY = played(scale(10), 10)
PEDAL = played([(start, 0.48, 82) for start in np.arange(0, 10, 0.5)], 10, decay=20)
STUCK = played([*scale(2), (2.0, 6.0, 440.0), *((8 + s, n, hz) for s, n, hz in scale(2))], 10)


def test_a_held_note_has_its_length_and_a_melody_has_that_of_its_notes() -> None:
    assert measure_held_tones(STUCK).longest == pytest.approx(6, abs=0.55)
    assert measure_held_tones(MELODY).longest == pytest.approx(0.6, abs=0.2)
    assert measure_held_tones(DRONE).longest == pytest.approx(10, abs=0.1)


def test_the_share_is_the_energy_in_long_tones() -> None:
    assert measure_held_tones(DRONE).share == pytest.approx(1, abs=0.02)
    assert measure_held_tones(MELODY).share == 0
    mixed = Clip(MELODY.samples + DRONE.samples, SAMPLE_RATE)
    share = measure_held_tones(mixed).share
    assert share is not None and 0.35 < share < 0.75


def test_an_attack_ends_a_tone() -> None:
    """A struck bass pedal stays short, alone and below a melody."""
    longest = measure_held_tones(PEDAL).longest
    assert longest is not None and longest < 1
    both = Clip(PEDAL.samples + MELODY.samples, SAMPLE_RATE)
    assert faults(PEDAL) == faults(both) == []


def test_a_held_tone_is_a_fault_with_its_value_and_limit() -> None:
    (held, share) = faults(STUCK)
    assert held.startswith("a tone held for 6.") and held.endswith("(limit 5.5 s)")
    assert share.endswith("of tonal energy in held tones (limit 30 %)")
    assert describe(STUCK).faulty and not describe(MELODY).faulty


def test_a_held_tone_below_a_melody_is_found_and_a_faint_one_is_none() -> None:
    below = Clip(MELODY.samples + 0.7 * DRONE.samples, SAMPLE_RATE)
    assert any(fault.startswith("a tone held for") for fault in faults(below))
    faint = Clip(MELODY.samples + 0.02 * DRONE.samples, SAMPLE_RATE)
    assert faults(faint) == []


def test_a_frozen_spectrum_is_static_for_its_length() -> None:
    """Ten copies of one second of noise; noise itself; a drone; a clip shorter than 10 s."""
    frozen = Clip(np.tile(noise(1).samples, 10), SAMPLE_RATE)
    assert measure_static(frozen).value == measure_static(noise(10)).value == 10
    assert measure_static(DRONE).value == 10
    assert measure_static(MELODY).value == 0
    for clip in (frozen, noise(10), DRONE):
        assert "static spectrum for 10.0 s (limit 10 s)" in faults(clip)
    static, pulse = faults(noise(6.2))
    assert static == "static spectrum for 6.0 s (limit 6 s)"
    assert pulse == "no pulse: clarity 0.00 (limit 0.2)"
    assert faults(noise(4.0)) == []  # too short to be music


def test_a_static_part_has_its_own_length() -> None:
    clip = Clip(np.concatenate([MELODY.samples, noise(4).samples], axis=1), SAMPLE_RATE)
    assert measure_static(clip).value == 4
    assert faults(clip) == []


def test_clicks_and_noise_have_no_tone() -> None:
    for clip in (noise(10), clicks(120)):
        found = measure_held_tones(clip)
        assert found.longest is not None and found.longest < 1 and found.share == 0


def test_a_strict_repetition_is_neither_static_nor_without_pulse() -> None:
    assert measure_static(PEDAL).value == 10 and faults(PEDAL) == []


def test_neither_gain_nor_channels_nor_sample_rate_change_them() -> None:
    expected = measure_held_tones(STUCK)
    assert measure_held_tones(Clip(STUCK.samples / 64, SAMPLE_RATE)) == expected
    assert measure_held_tones(Clip(STUCK.samples.repeat(2, 0), SAMPLE_RATE)) == expected
    resampled = STUCK.resampled(32_000)
    assert measure_held_tones(resampled).longest == pytest.approx(expected.longest, abs=0.1)
    assert faults(resampled)[0][:16] == faults(STUCK)[0][:16]


@pytest.mark.parametrize(
    "clip", [silence(10), silence(0), noise(0.3), BROKEN], ids=["silence", "empty", "short", "nan"]
)
def test_silent_short_and_broken_clips_have_none(clip: Clip) -> None:
    assert measure_held_tones(clip).longest is None and measure_held_tones(clip).share is None
    assert measure_static(clip).value is None and measure_comb_buzz(clip).value is None


@pytest.mark.parametrize("rate", [25, 50])
def test_a_comb_above_4600_hz_is_found_at_its_level(rate: int) -> None:
    """Lines in white noise; a line and the noise within 3 Hz of it against the noise beside."""
    bed = noise(10, amplitude=0.05).samples[0]
    time = np.arange(len(bed)) / SAMPLE_RATE
    comb = sum(np.sin(2 * np.pi * (hz * time + 0.1 * hz**2)) for hz in range(4600, 7600, rate))
    power = np.mean(bed**2) / (SAMPLE_RATE / 2)  # per Hz
    amplitude = np.sqrt(2 * 3 * 9 * power)  # mean over 3 Hz: 9 times the noise, plus the noise
    clip = Clip(bed + amplitude * comb, SAMPLE_RATE)
    assert measure_comb_buzz(clip).value == pytest.approx(10, abs=0.7)
    assert measure_comb_buzz(clip, [rate]).value == pytest.approx(10, abs=0.7)
    assert (measure_comb_buzz(clip, [32.5]).value or 9) < 1
    assert faults(Clip(0.01 * clip.samples + MELODY.samples, SAMPLE_RATE)) == []


def test_noise_and_a_melody_have_no_comb() -> None:
    assert measure_comb_buzz(noise(10)).value == pytest.approx(0, abs=0.5)
    noisy = Clip(MELODY.samples + noise(10, 0.001).samples, SAMPLE_RATE)
    assert abs(measure_comb_buzz(noisy).value or 9) < 0.5
    assert measure_comb_buzz(noise(10).resampled(8000)).value is None
    assert measure_comb_buzz(tone(440, 10)).value is None  # nothing above 4.6 kHz


@pytest.mark.parametrize("rates", [[], [5.0], [float("nan")], [25.0, 2000.0]])
def test_an_impossible_frame_rate_is_refused(rates: list[float]) -> None:
    with pytest.raises(TonearmError, match="frame_rates is"):
        measure_comb_buzz(noise(2), rates)
