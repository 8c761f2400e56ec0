"""Trends: a planted rise is found, noise is not, and the slope is the planted one."""

import numpy as np
import pytest

from tonearm.stats.discoveries import discoveries
from tonearm.stats.trend import page_trend, theil_sen


def test_a_rise_within_prompts_is_found_in_spite_of_their_levels():
    rng = np.random.default_rng(0)
    levels = rng.normal(0, 100, (20, 1))
    rising = levels + np.arange(5) + rng.normal(0, 1, (20, 5))
    assert page_trend(rising) < 1e-6 < 0.99 < page_trend(-rising)
    assert page_trend(np.where(np.arange(20)[:, None] < 1, np.nan, rising)) < 1e-5
    chances = [page_trend(rng.normal(size=(10, 5))) for _ in range(400)]
    assert 0.02 < np.mean(np.array(chances) < 0.05) < 0.08


def test_two_doses_or_one_prompt_have_no_trend():
    assert np.isnan(page_trend(np.zeros((10, 2)))) and np.isnan(page_trend(np.zeros((1, 5))))
    assert np.isnan(theil_sen([1, 2], [1, 2]).value)


def test_the_slope_ignores_an_outlier():
    doses = list(range(9))
    responses = [2.0 * dose for dose in doses]
    responses[4] = 1000.0
    found = theil_sen(doses, responses)
    assert found.value == pytest.approx(2) and found.low <= 2 <= found.high


def test_false_discoveries_are_few_among_many_tests():
    rng = np.random.default_rng(1)
    p = rng.uniform(size=(20, 10))
    p[0] = 1e-6
    p[1, 0] = np.nan
    found = discoveries(p)
    assert found[0].all() and not found[1, 0] and found[1:].sum() <= 2
    assert not discoveries(np.full((2, 2), np.nan)).any()
