"""Tempo of planted beats and of click tracks."""

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.measures.sounds import clicks, noise, silence, tone
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.measures.tempo import (
    TempoEstimate,
    beat_confidence,
    chance_agreement,
    fit_pulse,
    fitted_bpm,
    measure_tempo,
    median_bpm,
)

TRACKER_FRAME_SECONDS = 0.02

tempi = st.floats(40, 240)


def steady_beats(bpm: float, seconds: float = 10.0, first: float = 0.0) -> np.ndarray:
    return np.arange(first, seconds, 60 / bpm)


@given(bpm=tempi, first=st.floats(0, 2))
def test_both_rules_find_the_tempo_of_exact_beats(bpm: float, first: float) -> None:
    beats = steady_beats(bpm, first=first)
    assert median_bpm(beats) == pytest.approx(bpm)
    assert fitted_bpm(beats) == pytest.approx(bpm)


@given(bpm=tempi, stretch=st.floats(0.5, 2), shift=st.floats(-5, 5))
def test_stretching_time_divides_the_tempo_and_shifting_it_does_nothing(
    bpm: float, stretch: float, shift: float
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.005, 200)
    beats = steady_beats(bpm)
    beats = beats + noise[: len(beats)]
    for rule in (median_bpm, fitted_bpm):
        assert rule(beats * stretch + shift) == pytest.approx(rule(beats) / stretch)


def test_fitted_tempo_survives_coarse_frames_and_one_beat_in_ten_missed() -> None:
    rng = np.random.default_rng(0)
    fitted_errors, median_errors = [], []
    for bpm in rng.uniform(60, 180, 100):
        beats = steady_beats(bpm, first=rng.uniform(0, 0.5))
        beats = np.round(beats / TRACKER_FRAME_SECONDS) * TRACKER_FRAME_SECONDS
        found = beats[rng.random(len(beats)) > 0.1]
        fitted_errors.append(abs(fitted_bpm(found) / bpm - 1))
        median_errors.append(abs(median_bpm(found) / bpm - 1))
    assert max(fitted_errors) < 0.01
    assert np.mean(fitted_errors) < 0.002
    assert np.mean(fitted_errors) < np.mean(median_errors) / 2


def test_a_missed_beat_does_not_move_the_fit() -> None:
    beats = np.delete(steady_beats(100), [3, 4, 9])
    assert fitted_bpm(beats) == pytest.approx(100)


def test_spurious_beats_do_not_move_the_fit() -> None:
    """One in five; a line through the numbered beats has an error of as much."""
    beats = steady_beats(100)
    between = beats[[2, 6, 9]] + 0.3
    assert fitted_bpm(np.sort(np.append(beats, between))) == pytest.approx(100)
    assert fitted_bpm(np.sort(np.append(beats, between - 0.1))) == pytest.approx(100, rel=0.01)


def errors_of_the_fit(
    trains: int = 150,
    jitter: float = 0.01,
    missing: float = 0.0,
    spurious: float = 0.0,
    breaks: int = 0,
) -> np.ndarray:
    """Relative errors for beats of 10 s at 50 to 200 BPM on a tracker's frames.

    Args:
        trains: random beat trains.
        jitter: standard deviation in seconds.
        missing: share of the beats.
        spurious: beats at random times, as a share of the beats.
        breaks: times from which all beats are late by 0.1 to 0.6 of a beat.
    """
    rng = np.random.default_rng(7)
    errors = []
    for bpm in np.exp(rng.uniform(np.log(50), np.log(200), trains)):
        period = 60 / bpm
        beats = steady_beats(bpm, seconds=12, first=rng.uniform(0, period))
        for _ in range(breaks):
            late = rng.uniform(0.1, 0.6) * period
            beats = np.where(beats > rng.uniform(1.5, 8.5), beats + late, beats)
        beats = beats[beats < 10]
        beats = (beats + rng.normal(0, jitter, len(beats)))[rng.random(len(beats)) >= missing]
        extra = rng.uniform(0, 10, rng.binomial(len(beats), spurious))
        frames = np.round(np.append(beats, extra) / TRACKER_FRAME_SECONDS)
        found = np.unique(frames) * TRACKER_FRAME_SECONDS
        if len(found) >= 4:
            errors.append(abs(fitted_bpm(found) / bpm - 1))
    return np.array(errors)


def test_a_late_beat_hardly_bends_the_tempo() -> None:
    """One pulse without restarts is off by 2 % (median), and by more than 4 % for one in five."""
    errors = errors_of_the_fit(breaks=1)
    assert np.median(errors) < 0.003
    assert (errors > 0.04).mean() <= 0.01
    two = errors_of_the_fit(breaks=2)
    assert np.median(two) < 0.006 and (two > 0.04).mean() < 0.08


def test_beats_missing_or_spurious_and_a_late_one_together() -> None:
    """Without restarts, more than 4 % off for one in six."""
    errors = errors_of_the_fit(jitter=0.02, missing=0.1, spurious=0.1, breaks=1)
    assert np.median(errors) < 0.008
    assert (errors > 0.04).mean() < 0.05


def test_one_beat_in_four_missing_and_one_in_five_spurious() -> None:
    """With the median interval as the start, 6 % and 3 % are in another octave."""
    missing, spurious = errors_of_the_fit(400, missing=0.25), errors_of_the_fit(400, spurious=0.2)
    assert (missing > 0.04).mean() < 0.04
    assert (spurious > 0.04).mean() < 0.01


def test_the_fit_of_a_drifting_tempo_is_within_its_range() -> None:
    """Three minutes from 96 to 104 BPM: no single pulse fits them all."""
    beats = np.cumsum(60 / np.linspace(96, 104, 300))
    assert 96 < fitted_bpm(beats) < 104


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_fewer_than_four_beats_have_no_tempo(count: int) -> None:
    estimate = TempoEstimate.of_beats(steady_beats(120)[:count], "hand")
    assert (estimate.bpm, estimate.bpm_median, estimate.beat_regularity) == (None, None, None)
    assert len(estimate.beats) == count


@pytest.mark.parametrize(
    "beats", [[0.0, 1.0, 1.0, 2.0], [0.0, 2.0, 1.0, 3.0], [0.0, 1.0, float("nan"), 3.0]]
)
def test_beats_out_of_order_are_refused(beats: list[float]) -> None:
    with pytest.raises(TonearmError, match=r"increase|finite"):
        fitted_bpm(np.array(beats))


def test_beat_regularity_is_one_for_a_metronome_and_falls_with_jitter() -> None:
    rng = np.random.default_rng(0)
    beats = steady_beats(100, seconds=30)
    jitter = rng.normal(0, 1, len(beats))
    found = [TempoEstimate.of_beats(beats + sigma * jitter, "hand") for sigma in (0, 0.02, 0.08)]
    regularity = [one.beat_regularity for one in found]
    assert regularity[0] == pytest.approx(1)
    # Normal jitter of sigma s gives the agreement exp(-(2 pi s / period)^2 / 2).
    agreement = fit_pulse(beats + 0.02 * jitter).agreement
    assert agreement == pytest.approx(np.exp(-((2 * np.pi * 0.02 / 0.6) ** 2) / 2), abs=0.02)
    chance = chance_agreement(len(beats))
    assert regularity[1] == pytest.approx((agreement - chance) / (1 - chance))
    assert regularity[2] < 0.6


@pytest.mark.parametrize("count", [4, 8, 20, 40, 90])
def test_random_times_have_a_beat_regularity_of_zero_on_average(count: int) -> None:
    """Uncorrected it is 0.79, 0.60, 0.43 and 0.28 for 4, 8, 20 and 40 beats."""
    rng = np.random.default_rng(count)
    times = np.sort(rng.uniform(0, 10, (150, count)), axis=1)
    found = [TempoEstimate.of_beats(beats, "hand").beat_regularity for beats in times]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error + 0.02


def test_a_late_beat_costs_some_regularity_and_not_all() -> None:
    beats = steady_beats(120)
    late = np.where(np.arange(len(beats)) < 10, beats, beats + 0.25)  # half a beat
    assert 0.8 < TempoEstimate.of_beats(late, "hand").beat_regularity < 0.95


def gusts(seed: int) -> Clip:
    """Noise of 10 s whose level is drawn every 0.1 s, with a standard deviation of 6 dB."""
    bed = noise(10, seed=seed)
    decibels = np.random.default_rng(seed).normal(0, 6, 101)
    level = np.interp(np.arange(bed.samples.shape[1]) / bed.sample_rate * 10, range(101), decibels)
    return Clip(bed.samples * 10 ** (level / 20), bed.sample_rate)


def test_librosas_beats_are_regular_in_noise_of_random_level() -> None:
    """Its dynamic programming prefers equal intervals (docs/measures.md)."""
    found = [measure_tempo(gusts(seed)).beat_regularity for seed in range(5)]
    assert 0.4 < np.mean(found) < 0.8


def test_steady_sounds_have_no_beats_by_librosa() -> None:
    for clip in (noise(10), tone(440, 10)):
        assert not len(LibrosaTracker().track(clip))
        assert measure_tempo(clip).beat_regularity is None


@pytest.mark.parametrize("bpm", [66, 70, 97, 120, 150, 183])
def test_librosa_reads_click_tracks(bpm: float) -> None:
    estimate = measure_tempo(clicks(bpm))
    assert estimate.bpm == pytest.approx(bpm, rel=0.002)
    assert estimate.beat_regularity > 0.99
    assert estimate.tracker == "librosa"
    clicked = np.arange(0.1, 9.97, 60 / bpm)
    assert np.abs(np.subtract.outer(estimate.beats, clicked)).min(1).max() < 0.03
    # mir_eval counts beats within 70 ms, from second 5 on.
    assert (
        mir_eval.beat.f_measure(
            mir_eval.beat.trim_beats(clicked), mir_eval.beat.trim_beats(np.array(estimate.beats))
        )
        == 1
    )


@settings(max_examples=10)
@given(exponent=st.integers(-6, 3))
def test_gain_does_not_change_the_beats(exponent: int) -> None:
    clip = clicks(110, 5)
    assert measure_tempo(Clip(clip.samples * 2.0**exponent, clip.sample_rate)) == measure_tempo(
        clip
    )


@settings(max_examples=8)
@given(
    bpm=st.floats(65, 185),
    gain=st.floats(0.1, 10),
    sample_rate=st.sampled_from([8_000, 22_050, 44_100]),
)
def test_neither_gain_nor_resampling_moves_the_tempo(
    bpm: float, gain: float, sample_rate: int
) -> None:
    clip = clicks(bpm)
    other = clip.resampled(sample_rate)
    other = Clip(other.samples * gain, sample_rate)
    assert measure_tempo(other).bpm == pytest.approx(measure_tempo(clip).bpm, rel=0.005)


def test_resampling_hardly_changes_the_tempo() -> None:
    clip = clicks(96)
    for sample_rate in (8_000, 32_000, 44_100):
        assert measure_tempo(clip.resampled(sample_rate)).bpm == pytest.approx(
            measure_tempo(clip).bpm, rel=0.003
        )


def test_low_tones_alone_have_a_tempo() -> None:
    time = np.arange(160_000) / 16_000
    pulses = np.sin(2 * np.pi * 80 * time) * np.exp(-12 * np.mod(time - 0.1, 0.5)) * 0.5
    assert measure_tempo(Clip(pulses, 16_000)).bpm == pytest.approx(120, rel=0.01)


def test_another_tracker_can_take_the_place_of_librosa() -> None:
    class Hand:
        name = "hand"

        def track(self, clip: Clip) -> np.ndarray:
            return np.arange(0, clip.seconds, 0.5)

    estimate = measure_tempo(clicks(120, 4), Hand())
    assert estimate.bpm == pytest.approx(120)
    assert estimate.measurement.value == estimate.bpm
    assert "by hand" in estimate.measurement.protocol


def test_confidence_is_high_for_clicks_low_for_noise_and_lowest_off_the_beat() -> None:
    assert measure_tempo(clicks(120)).confidence > 0.8
    assert measure_tempo(gusts(0)).confidence < 0.5
    envelope = np.zeros(1250)
    envelope[::50] = 1.0  # 2.5 frames a second: every 0.4 s
    on_the_beat = np.arange(0, 10, 0.4)
    # Of 50 frames, 11 are within 40 ms of an onset.
    assert beat_confidence(envelope, on_the_beat) == pytest.approx(1 - 11 / 50, abs=0.01)
    assert beat_confidence(envelope, on_the_beat + 0.2) == 0
    assert beat_confidence(envelope, on_the_beat[:3]) is None
    assert beat_confidence(np.zeros(1250), on_the_beat) is None


@pytest.mark.parametrize(
    "clip", [silence(), silence(0.1), silence(0), clicks(120, 0.15)], ids=lambda c: f"{c.seconds} s"
)
def test_silent_and_short_clips_have_no_tempo(clip: Clip) -> None:
    assert LibrosaTracker().track(clip).ndim == 1
    assert measure_tempo(clip).bpm is None


@pytest.mark.parametrize("confidence", [float("nan"), -1.0, 2.0, "0.5"])
def test_a_confidence_that_is_not_possible_is_refused(confidence):
    with pytest.raises(TonearmError, match="confidence"):
        TempoEstimate.of_beats(np.arange(8.0), "given", confidence)
