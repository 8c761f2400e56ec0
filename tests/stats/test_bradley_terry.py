"""Bradley-Terry: planted abilities are found."""

import numpy as np
import pytest

from tonearm.stats.bradley_terry import abilities, log_abilities

TRUE = np.array([-1.0, 0.0, 0.2, 0.8])


def choices(rng, true, people, repeats):
    """Wins [people, K, K] of people who compare every pair."""
    k = len(true)
    wins = np.zeros((people, k, k))
    chosen = 1 / (1 + np.exp(true[None, :] - true[:, None]))
    for i in range(k):
        for j in range(i + 1, k):
            wins[:, i, j] = rng.binomial(repeats, chosen[i, j], people)
            wins[:, j, i] = repeats - wins[:, i, j]
    return wins


def test_planted_abilities_are_found_and_are_0_on_average():
    wins = choices(np.random.default_rng(0), TRUE, people=20, repeats=100)
    found = log_abilities(wins.sum(0))
    assert found == pytest.approx(TRUE - TRUE.mean(), abs=0.06)
    assert found.mean() == pytest.approx(0)


def test_of_two_alternatives_the_difference_is_the_log_of_the_odds():
    low, high = log_abilities(np.array([[0.0, 20.0], [60.0, 0.0]]))
    assert high - low == pytest.approx(np.log(60.5 / 20.5))


def test_many_answers_that_agree_are_fitted():
    """The likelihood is flat where all of 1000 answers are one: a slow algorithm would give up."""
    wins = np.zeros((100, 3, 3))
    wins[:, 1, 0] = wins[:, 0, 2] = 10
    plain, fast, slow = abilities(wins)
    assert fast.value - plain.value == pytest.approx(np.log(2001), abs=1e-6)
    assert plain.value - slow.value == pytest.approx(np.log(2001), abs=1e-6)
    assert fast.low <= fast.value <= fast.high


def test_one_that_always_wins_is_first_with_a_finite_ability():
    wins = np.array([[0.0, 10, 10], [0, 0, 5], [0, 5, 0]])
    found = log_abilities(wins)
    assert np.isfinite(found).all() and found[0] > found[1] + 2
    assert found[1] == pytest.approx(found[2])


def test_intervals_cover_and_few_people_have_none():
    rng, tests = np.random.default_rng(4), 15
    covered = 0
    for _ in range(tests):
        found = abilities(choices(rng, TRUE, people=8, repeats=6))
        covered += sum(
            one.low <= true <= one.high for one, true in zip(found, TRUE - TRUE.mean(), strict=True)
        )
    assert covered / (tests * len(TRUE)) > 0.88
    assert np.isnan(abilities(choices(rng, TRUE, people=3, repeats=6))[0].low)


@pytest.mark.filterwarnings("error")
def test_alternatives_that_were_never_compared_have_no_abilities():
    wins = np.zeros((2, 4, 4))
    wins[0, 0, 1] = wins[0, 2, 3] = 3
    wins[1] = 1 - np.eye(4)
    found = log_abilities(wins)
    assert np.isnan(found[0]).all() and found[1] == pytest.approx(np.zeros(4))
