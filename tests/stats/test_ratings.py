"""Ratings: planted means and differences are found, and post-screening excludes who it should."""

import numpy as np
import pytest

from tonearm.stats.ratings import (
    fails_anchor,
    fails_reference,
    mean_difference,
    mean_of_people,
    mean_rating,
)


def ratings(rng, mean, people, items, habits):
    """People with a habit of their own on the scale."""
    return mean + habits[:, None] + rng.normal(0, 6, (people, items))


def test_the_interval_over_people_has_the_true_mean_in_95_percent_of_tests():
    rng, tests = np.random.default_rng(0), 600
    covered = 0
    for _ in range(tests):
        found = mean_rating(ratings(rng, 60, 8, 6, rng.normal(0, 10, 8)))
        covered += found.low < 60 < found.high
    assert 0.93 < covered / tests < 0.97


def test_a_planted_difference_is_found_although_people_use_the_scale_differently():
    rng = np.random.default_rng(1)
    habits = rng.normal(0, 15, 10)
    reference, condition = (ratings(rng, mean, 10, 8, habits) for mean in (90, 80))
    found = mean_difference(condition, reference)
    assert found.low < -10 < found.high and found.high - found.low < 6 and found.p < 1e-4
    assert mean_difference(ratings(rng, 90, 10, 8, habits), reference).p > 0.05


def test_missing_ratings_are_left_out_and_one_person_has_no_interval():
    found = mean_rating(np.array([[50.0, np.nan], [60.0, 80.0], [np.nan, np.nan]]))
    assert (found.value, found.n) == (60, 2)
    alone = mean_of_people(np.array([55.0]))
    assert alone.value == 55 and np.isnan([alone.low, alone.high, alone.p]).all()
    assert np.isnan(mean_of_people(np.array([])).value)


@pytest.mark.parametrize(("low", "excluded"), [(0, False), (1, False), (2, True)])
def test_more_than_15_percent_of_hidden_references_below_90_excludes(low, excluded):
    """One of ten is 10 %, two are 20 %."""
    row = np.full((1, 10), 90.0)
    row[0, :low] = 89
    assert fails_reference(row).tolist() == [excluded]
    assert fails_anchor(180 - row).tolist() == [excluded]


def test_screening_separates_careful_people_from_those_who_guess():
    rng = np.random.default_rng(2)
    careful, guessing = rng.uniform(92, 100, (8, 10)), rng.uniform(0, 100, (8, 10))
    assert not fails_reference(careful).any() and fails_reference(guessing).all()
