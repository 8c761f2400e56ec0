"""The clock estimator on planted ticks: tempo, jitter, changes, pauses."""

import numpy as np
import pytest

from tonearm.midi.clock import TICKS_PER_BEAT, ClockEstimator


def ticks(bpm: float, count: int, start: float = 0.0) -> np.ndarray:
    return start + np.arange(count) * 60 / (bpm * TICKS_PER_BEAT)


def fed(*series: np.ndarray) -> ClockEstimator:
    one = ClockEstimator()
    for seconds in np.concatenate(series):
        one.tick(float(seconds))
    return one


@pytest.mark.parametrize("bpm", [20.0, 93.7, 120.0, 300.0])
def test_regular_ticks_have_their_tempo(bpm):
    times = ticks(bpm, 48)
    assert fed(times).bpm(times[-1]) == pytest.approx(bpm, rel=1e-9)


def test_jitter_of_a_millisecond_costs_less_than_half_a_bpm():
    rng = np.random.default_rng(3)
    for _ in range(20):
        times = np.sort(ticks(120, 48) + rng.uniform(-0.001, 0.001, 48))
        assert fed(times).bpm(times[-1]) == pytest.approx(120, abs=0.5)


def test_a_change_of_tempo_is_followed_within_half_a_beat():
    before = ticks(120, 96)
    after = ticks(90, 14, start=before[-1])[1:]
    assert fed(before, after).bpm(after[-1]) == pytest.approx(90, abs=0.5)


def test_before_half_a_beat_and_after_a_pause_there_is_no_tempo():
    times = ticks(120, 12)
    assert fed(times[:11]).bpm(times[10]) is None
    one = fed(times)
    assert one.bpm(times[-1]) is not None
    assert one.bpm(times[-1] + 0.6) is None


def test_ticks_after_a_pause_begin_anew():
    after = ticks(140, 20, start=10.0)
    one = fed(ticks(80, 48), after)
    assert one.bpm(after[-1]) == pytest.approx(140, rel=1e-6)
    one.reset()
    assert one.bpm(after[-1]) is None


def test_a_tick_that_is_not_later_is_ignored():
    times = ticks(120, 48)
    assert fed(times, times[-1:], times[:1]).bpm(times[-1]) == pytest.approx(120)
