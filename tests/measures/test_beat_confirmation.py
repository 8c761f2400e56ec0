"""Confirmation of the beat: planted rhythms have their tempo, audio without a beat has none."""

import numpy as np
import pytest
from recipes.evaluators.beatless import coloured_noise, shuffle_grains

from tests.measures.sounds import SAMPLE_RATE, clicks, silence
from tonearm.audio import Clip
from tonearm.measures import describe, is_right_tempo, measure_tempo
from tonearm.measures.beat_confirmation import pulse_support, why_unconfirmed
from tonearm.measures.tempo import TempoEstimate

SECONDS = 10.0
SEEDS = range(12)


def drawn_tempo(seed: int) -> float:
    """Any number from 60 to 180, not only whole ones."""
    return float(np.exp(np.random.default_rng((seed, 1)).uniform(*np.log((60, 180)))))


def rhythm(seed: int, bpm: float) -> Clip:
    """A bar of random sixteenths that repeats: drums and plucked tones, off by about 5 ms."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(round((SECONDS + 1) * SAMPLE_RATE))
    time = np.arange(round(0.25 * SAMPLE_RATE)) / SAMPLE_RATE
    kick = np.sin(2 * np.pi * 60 * time) * np.exp(-25 * time)
    snare = 0.4 * rng.standard_normal(len(time)) * np.exp(-30 * time)
    tones = [
        0.4 * sum(np.sin(2 * np.pi * hz * n * time) / n for n in (1, 2, 3)) * np.exp(-8 * time)
        for hz in 220 * 2 ** (rng.integers(0, 13, 16) / 12)
    ]
    melody = rng.random(16) < [0.8, 0.1, 0.4, 0.1] * 4
    first = rng.uniform(0, 0.3)
    for slot in range(int((SECONDS - first) * bpm / 15)):
        at = round((first + slot * 15 / bpm + rng.normal(0, 0.005)) * SAMPLE_RATE)
        place = slot % 16
        sounds = [kick] * (place in (0, 8)) + [snare] * (place in (4, 12))
        sounds += [tones[place]] * bool(melody[place])
        for sound in sounds if at >= 0 else []:
            samples[at : at + len(sound)] += sound
    return Clip(samples[: round(SECONDS * SAMPLE_RATE)] / 4, SAMPLE_RATE)


def held_chord(seed: int) -> Clip:
    """Three tones with eight harmonics, vibrato and tremolo at rates of their own."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    samples = np.zeros(len(time))
    for semitones in (0, int(rng.integers(3, 5)), 7):
        hz, rate = 130 * 2 ** ((rng.uniform(0, 12) + semitones) / 12), rng.uniform(4, 7)
        phase = 2 * np.pi * hz * time + 0.003 * hz / rate * np.sin(2 * np.pi * rate * time)
        voice = sum(np.sin(n * phase) / n for n in range(1, 9))
        samples += voice * (1 + 0.2 * np.sin(2 * np.pi * rng.uniform(3, 7) * time))
    return Clip(0.1 * samples, SAMPLE_RATE)


def drone(seed: int) -> Clip:
    """A fifth whose voices are detuned and swell slowly."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    samples = np.zeros(len(time))
    for ratio in (1, 1.5, 2):
        for _ in range(2):
            hz = 80 * ratio * (1 + rng.normal(0, 0.002))
            swell = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.05, 0.2) * time + rng.uniform(0, 6))
            samples += swell * sum(np.sin(2 * np.pi * hz * n * time) / n for n in range(1, 6))
    return Clip(0.05 * samples, SAMPLE_RATE)


def pink(seed: int) -> Clip:
    return coloured_noise("pink", SECONDS, SAMPLE_RATE, np.random.default_rng(seed))


def shuffled(seed: int) -> Clip:
    return shuffle_grains(rhythm(seed, drawn_tempo(seed)), np.random.default_rng(seed))


def test_rhythms_at_any_tempo_have_it_up_to_an_octave() -> None:
    tempi = [measure_tempo(rhythm(seed, drawn_tempo(seed))).bpm for seed in SEEDS]
    right = [
        bpm is not None and is_right_tempo(bpm, drawn_tempo(seed), any_octave=True)
        for seed, bpm in zip(SEEDS, tempi, strict=True)
    ]
    assert np.mean(right) >= 0.95


@pytest.mark.parametrize("make", [shuffled, pink, held_chord, drone])
def test_audio_without_a_beat_has_no_tempo_but_a_reason(make) -> None:
    found = [measure_tempo(make(seed)) for seed in SEEDS]
    refused = [estimate for estimate in found if estimate.bpm is None]
    assert len(refused) >= 0.95 * len(SEEDS)
    assert all(estimate.unconfirmed for estimate in refused)
    assert all(estimate.bpm_median is None for estimate in refused)


def test_the_beats_of_shuffled_grains_would_give_a_tempo() -> None:
    """Without the confirmation there would be one."""
    estimate = measure_tempo(shuffled(0))
    assert TempoEstimate.of_beats(np.array(estimate.beats), "the same").bpm is not None
    assert estimate.bpm is None


def test_the_reason_is_in_every_description() -> None:
    refused, confirmed = describe(shuffled(0)), describe(clicks(120))
    assert refused["tempo"].value is None
    assert refused["tempo_unconfirmed"].value == refused.tempo.unconfirmed is not None
    assert confirmed["tempo_unconfirmed"].value is None
    assert confirmed["pulse_support"].number > 0.9


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (silence(10), "under 4 beats"),
        (clicks(180, 3.5), "silent, or under 4 s: too short to confirm a beat"),
    ],
)
def test_silent_and_short_clips_have_a_reason(clip: Clip, reason: str) -> None:
    estimate = measure_tempo(clip)
    assert (estimate.bpm, estimate.unconfirmed) == (None, reason)


def test_beats_beside_the_onsets_are_not_confirmed() -> None:
    """The clip has a clear pulse, but not at the tempo of the beats."""

    class Wrong:
        name = "wrong"

        def track(self, clip: Clip) -> np.ndarray:
            return np.arange(0.2, clip.seconds, 60 / 137)

    estimate = measure_tempo(clicks(100), Wrong())
    assert estimate.bpm is None
    assert estimate.unconfirmed is not None and "137 BPM" in estimate.unconfirmed


def correlation_of(period: int) -> np.ndarray:
    """r of a clip whose onsets repeat every `period` lags of 8 ms."""
    correlation = np.zeros(627)
    correlation[::period] = 1
    return correlation


@pytest.mark.parametrize("bpm", [60, 120, 240])
def test_support_is_that_of_the_best_metrical_level(bpm: float) -> None:
    assert pulse_support(correlation_of(125), bpm) == pytest.approx(1)


@pytest.mark.parametrize("bpm", [80, 90, 137])
def test_other_tempi_have_no_support(bpm: float) -> None:
    assert pulse_support(correlation_of(125), bpm) < 0.4
    assert pulse_support(np.zeros(627), bpm) == 0


def test_the_reasons_name_the_numbers() -> None:
    assert why_unconfirmed(120, 5.0, 0.7, 0.6) is None
    assert why_unconfirmed(154, 5.0, 0.14, 0.6) == (
        "no clear pulse: pulse clarity 0.14 is under 0.2 (the beats would give 154 BPM)"
    )
    assert "support 0.10 is under 0.15" in str(why_unconfirmed(154, 5.0, 0.5, 0.1))
    assert "0.8 dB, under 1.5 dB" in str(why_unconfirmed(154, 0.8, 0.9, 0.9))


def test_beats_without_audio_are_neither_confirmed_nor_refused() -> None:
    estimate = TempoEstimate.of_beats(np.arange(0, 10, 0.5), "planted")
    assert estimate.bpm == pytest.approx(120)
    assert estimate.support is None and estimate.unconfirmed is None
