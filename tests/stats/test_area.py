"""Area under a curve of effect over cost: algebra, and coverage of the interval."""

import numpy as np
import pytest

from tonearm.stats.area import area, areas_under, interval, resampled_areas, resamples


def one(x, y, cutoff):
    return float(areas_under(np.array(x, float), np.array(y, float), cutoff))


def test_a_line_through_the_origin_has_half_of_its_end():
    assert one([0.5, 1.0], [1.0, 2.0], 1.0) == pytest.approx(1.0)
    assert one([0.5, 1.0], [1.0, 2.0], 0.3) == pytest.approx(0.3)  # half of 0.6, interpolated
    assert one([0.3], [0.9], 0.1) == pytest.approx(0.15)


def test_the_end_is_interpolated_and_the_last_value_is_kept_beyond_it():
    x, y = [0.2, 0.6], [1.0, 3.0]
    by_hand = (0.2 * 0.5 + 0.2 * 1.5) / 0.4  # to y(0.4) = 2
    assert one(x, y, 0.4) == pytest.approx(by_hand)
    whole = (0.2 * 0.5 + 0.4 * 2.0) + 0.4 * 3.0
    assert one(x, y, 1.0) == pytest.approx(whole)


def test_nothing_is_clipped_and_order_does_not_matter():
    assert one([0.5, 1.0], [-1.0, -2.0], 1.0) == pytest.approx(-1.0)
    assert one([0.5, 1.0], [1.0, -1.0], 1.0) == pytest.approx(0.25 + 0.0)
    assert one([1.0, 0.5], [2.0, 1.0], 0.7) == one([0.5, 1.0], [1.0, 2.0], 0.7)
    assert one([0.5, 0.5], [1.0, 1.0], 0.5) == pytest.approx(0.5)


def test_areas_are_linear_in_the_effect():
    rng = np.random.default_rng(0)
    x, y, z = rng.uniform(0.1, 1, (5, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    both = areas_under(x, 2 * y + z, 0.8)
    assert np.allclose(both, 2 * areas_under(x, y, 0.8) + areas_under(x, z, 0.8))


def test_unknown_effects_are_left_out_of_the_means():
    x = np.tile([0.2, 0.6], (6, 1))
    y = np.array([[1.0, 2.0]] * 5 + [[np.nan, 50.0]])
    found = area(x, y, 0.2)
    assert found.n == 5 and found.value == found.low == found.high == pytest.approx(0.5)
    few = area(x[2:], y[2:], 0.2)
    assert few.n == 3 and few.value == pytest.approx(0.5) and np.isnan([few.low, few.high]).all()
    assert not few.is_beyond() and not few.is_beyond(-1)


def test_intervals_cover_the_true_area():
    """Twelve prompts with skewed effects; plain percentiles cover about 90 %."""
    rng, covered, runs = np.random.default_rng(1), 0, 400
    grid = np.array([0.1, 0.3, 1.0])
    truth = float(areas_under(grid, grid, 0.8))
    drawn = resamples(12, 400)
    for _ in range(runs):
        gain = rng.gamma(4.0, 0.25, (12, 1))  # mean 1
        x = grid * rng.uniform(0.9, 1.1, (12, 3))
        y = gain * grid + 0.2 * rng.normal(size=(12, 3))
        low, high = interval(resampled_areas(x, y, 0.8, drawn), 12)
        covered += low <= truth <= high
    assert 0.925 <= covered / runs <= 0.98


def test_certainty_has_a_sense():
    x = np.tile([0.5, 1.0], (12, 1))
    y = -x + 0.01 * np.random.default_rng(2).normal(size=x.shape)
    found = area(x, y, 1.0)
    assert found.is_beyond(-1) and not found.is_beyond()


def test_an_interval_of_nothing_known_is_unknown():
    """Without a warning of numpy, which this suite counts as an error."""
    assert np.isnan(interval(np.full(100, np.nan), 12)).all()
