"""Proportions: exact values, and coverage with people of different ability as clusters."""

import numpy as np
import pytest
from scipy.stats import binomtest

from tonearm.stats.proportion import clustered_proportion, exact_proportion


@pytest.mark.parametrize(("count", "n"), [(0, 10), (7, 10), (10, 10), (12, 16), (51, 100)])
@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_independent_trials_have_the_exact_interval_and_p(count, n, alternative):
    found = exact_proportion(count, n, alternative=alternative)
    known = binomtest(count, n, 0.5, alternative=alternative)
    interval = binomtest(count, n).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(known.pvalue)
    assert (found.value, found.effective) == (count / n, n)


def test_twelve_of_sixteen_is_the_known_limit_of_an_abx():
    assert exact_proportion(12, 16, alternative="greater").p == pytest.approx(0.0384, abs=1e-4)
    assert exact_proportion(11, 16, alternative="greater").p > 0.1


def test_people_with_one_trial_each_and_one_person_alone_are_exact():
    exact = exact_proportion(7, 10)
    each = clustered_proportion([1] * 7 + [0] * 3, [1] * 10)
    alone = clustered_proportion([7], [10])
    assert (each.low, each.high, each.p) == (exact.low, exact.high, exact.p)
    assert (alone.low, alone.high, alone.p) == (exact.low, exact.high, exact.p)
    assert (each.clusters, alone.clusters) == (10, 1)


def test_disagreeing_listeners_count_for_less_than_their_trials():
    agreeing = clustered_proportion([10, 10, 10, 10], [20] * 4)
    divided = clustered_proportion([20, 20, 0, 0], [20] * 4)
    assert divided.value == agreeing.value == 0.5
    assert divided.effective < 4 and divided.low < 0.1 and divided.high > 0.9
    assert agreeing.effective > divided.effective


def test_one_answer_of_all_has_an_interval_with_a_width_and_people_without_trials_do_not_count():
    found = clustered_proportion([20] * 5 + [0], [20] * 5 + [0])
    assert found.high == 1 and 0.85 < found.low < 0.97 and found.clusters == 5
    assert found.p < 1e-6


@pytest.mark.parametrize("people", [5, 15])
@pytest.mark.parametrize("mean", [0.5, 0.8])
def test_the_interval_has_the_true_share_in_95_percent_of_tests(people, mean):
    """Shares of people are spread by a beta distribution; exact intervals have it in 70 to 80 %."""
    rng, tests, concentration = np.random.default_rng(people), 500, 4.0
    shape = mean * concentration, (1 - mean) * concentration
    covered = exact = 0
    for _ in range(tests):
        counts = rng.binomial(16, rng.beta(*shape, people))
        found = clustered_proportion(list(counts), [16] * people)
        alone = exact_proportion(int(counts.sum()), 16 * people)
        covered += found.low <= mean <= found.high
        exact += alone.low <= mean <= alone.high
    assert covered / tests > 0.93
    assert exact / tests < 0.85


def test_without_an_effect_the_test_rejects_as_often_as_it_says():
    rng, tests = np.random.default_rng(3), 800
    rejected = sum(
        clustered_proportion(list(rng.binomial(12, rng.beta(3, 3, 8))), [12] * 8).p < 0.05
        for _ in range(tests)
    )
    assert rejected / tests < 0.07


def test_impossible_counts_are_refused():
    for counts, totals in (([], []), ([0], [0]), ([3], [2])):
        with pytest.raises(ValueError, match=r"no trials|no share"):
            clustered_proportion(counts, totals)
