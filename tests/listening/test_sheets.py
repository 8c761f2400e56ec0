"""Orders of presentation: balanced within a listener and over a block of listeners."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from tonearm.listening.allocation import sheet_of
from tonearm.listening.sheets import SHEETS, PlannedTrial, draw_sheets


def trials(items, pairs=(("plain", "fast"), ("plain", "slow"))):
    return [PlannedTrial(item, pair) for item in range(items) for pair in pairs]


def sheets(kind, planned, seed=0):
    return draw_sheets(kind, planned, np.random.default_rng(seed))


@pytest.mark.parametrize("items", [4, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["abx", "2afc"])
def test_within_a_sheet_each_condition_is_equally_often_on_each_side(kind, items):
    planned = trials(items)
    for sheet in sheets(kind, planned):
        for pair in {trial.conditions for trial in planned}:
            shown = [one.order for one in sheet if planned[one.trial].conditions == pair]
            first = sum(order[0] == 0 for order in shown)
            assert abs(2 * first - items) <= 1
            assert {len(order) for order in shown} == {3 if kind == "abx" else 2}


@pytest.mark.parametrize("kind", ["abx", "2afc"])
def test_two_consecutive_listeners_have_every_trial_with_both_sides(kind):
    planned = trials(3)
    drawn = sheets(kind, planned)
    for first in range(0, SHEETS, 2):
        by_trial = Counter(
            (one.trial, one.order[0]) for sheet in drawn[first : first + 2] for one in sheet
        )
        assert set(by_trial.values()) == {1} and len(by_trial) == 2 * len(planned)


def test_a_listener_who_balances_guesses_does_not_profit_from_a_balanced_x():
    planned = trials(8, pairs=(("plain", "fast"),))
    right = []
    for seed in range(100):
        for sheet in sheets("abx", planned, seed):
            is_a = np.array([one.order[0] == one.order[2] for one in sheet])
            right.append(np.sum(is_a == (np.arange(8) % 2 == 0)))  # A and B in turn
    assert np.mean(right) == pytest.approx(4, abs=0.2)
    assert np.var(right) < 2.14  # 8 / 4 by chance; 16 / 7 where X is balanced


def test_in_mushra_every_condition_has_every_position_equally_often():
    conditions = ("plain", "fast", "slow", "random")
    planned = [PlannedTrial(item, conditions) for item in range(8)]
    drawn = sheets("mushra", planned)
    for sheet in drawn:
        for position in range(4):
            counts = Counter(one.order[position] for one in sheet)
            assert set(counts.values()) == {2} and len(counts) == 4
    mirrored = {one.trial: one.order[::-1] for one in drawn[1]}
    assert mirrored == {one.trial: one.order for one in drawn[0]}


def test_every_sheet_has_every_trial_once_in_an_order_of_its_own_by_the_seed():
    planned = trials(6)
    drawn = sheets("abx", planned)
    assert len(drawn) == SHEETS
    orders = [tuple(one.trial for one in sheet) for sheet in drawn]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert len(set(orders)) == SHEETS
    assert drawn == sheets("abx", planned) and drawn != sheets("abx", planned, seed=1)
    neighbours = [
        planned[one].item == planned[two].item for order in orders for one, two in pairwise(order)
    ]
    assert np.mean(neighbours) < 0.02  # of orders drawn at random: 1 in 11


def test_consecutive_numbers_have_consecutive_sheets_and_other_ids_are_spread():
    assert [sheet_of(f"L{n:02}", 24) for n in range(30)] == [n % 24 for n in range(30)]
    assert sheet_of("2026-0007", 24) == 7
    spread = Counter(
        sheet_of("listener " + chr(97 + n // 26) + chr(97 + n % 26), 24) for n in range(600)
    )
    assert len(spread) == 24 and max(spread.values()) < 50
    assert sheet_of("a", 2**32) == 0xE40C292C  # FNV-1a of "a", as published
