"""Schedules of a strength over time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonearm.errors import TonearmError
from tonearm.steering import Schedule

finite = st.floats(-5, 5)


def test_a_window_is_1_from_its_start_to_before_its_end():
    factors = Schedule.window(1.0, 2.0).factors([0.0, 0.999, 1.0, 1.5, 1.999, 2.0, 50.0])
    assert factors.tolist() == [0, 0, 1, 1, 1, 0, 0]


def test_fades_are_inside_the_window():
    factors = Schedule.window(1.0, 3.0, fade=0.5).factors([1.0, 1.25, 1.5, 2.5, 2.75, 3.0])
    assert factors == pytest.approx([0, 0.5, 1, 1, 0.5, 0])


def test_a_window_may_start_at_0_and_consist_of_fades():
    assert Schedule.window(0, 1).factors([0.0]).tolist() == [1]
    assert Schedule.window(0, 2, fade=1).factors([0, 0.5, 1, 1.5]) == pytest.approx(
        [0, 0.5, 1, 0.5]
    )


@given(finite, finite, st.floats(0, 1))
def test_a_ramp_is_linear_and_constant_before_and_after(first, last, share):
    ramp = Schedule.ramp(2.0, 4.0, first, last)
    assert ramp.factors([0.0, 2.0 + 2.0 * share, 4.0, 9.0]) == pytest.approx(
        [first, first + share * (last - first), last, last]
    )


@given(
    st.lists(st.tuples(st.floats(0, 10), finite), min_size=1, max_size=6),
    st.lists(st.floats(0, 12), max_size=8),
)
def test_factors_are_linear_interpolation_between_points(points, times):
    points = sorted({round(seconds, 1): factor for seconds, factor in points}.items())
    schedule = Schedule(points=tuple(points))
    expected = np.interp(times, [p[0] for p in points], [p[1] for p in points])
    assert schedule.factors(times) == pytest.approx(expected, abs=1e-9)


def test_the_later_of_two_points_at_one_time_holds():
    schedule = Schedule(points=((0, 2), (1, 4), (1, 7), (1, -3), (2, -3)))
    assert schedule.factors([0.5, 1 - 1e-9, 1.0, 1.5]) == pytest.approx([3, 4, -3, -3])


def test_no_times_give_no_factors():
    assert Schedule.ramp(0, 1).factors([]).shape == (0,)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ((), "at least one"),
        (((1, 0), (0, 1)), "must not go back"),
        (((-1, 0),), "must not be negative"),
        (((0, float("nan")),), "finite"),
        (((float("inf"), 1),), "finite"),
    ],
)
def test_impossible_points_are_refused(points, message):
    with pytest.raises(TonearmError, match=message):
        Schedule(points=points)


@pytest.mark.parametrize(
    "window",
    [(2, 2), (3, 1), (-1, 2), (0, 1, 0.6), (0, 1, -0.1), (float("nan"), 1), (0, float("inf"))],
)
def test_impossible_windows_are_refused(window):
    with pytest.raises(TonearmError, match=r"window|finite"):
        Schedule.window(*window)


@pytest.mark.parametrize(
    ("values", "rate"),
    [([], 50), (3, 50), ("ab", 50), ([1.0], 0), ([1.0], "50"), ([float("nan")], 50), ([[1.0]], 50)],
)
def test_steps_of_wrong_types_are_one_line(values, rate):
    with pytest.raises(TonearmError):
        Schedule.steps(values, rate)


@pytest.mark.parametrize("seconds", [3, None, "ab", [[1.0]], [float("nan")], [1j]])
def test_times_of_wrong_types_are_one_line(seconds):
    with pytest.raises(TonearmError):
        Schedule.window(0, 1).factors(seconds)


def test_a_delayed_schedule_begins_later():
    schedule = Schedule(points=((0.0, 0.0), (4.0, 1.0)))
    assert schedule.delayed(1.5).points == ((1.5, 0.0), (5.5, 1.0))
    assert schedule.delayed(0.0) == schedule
