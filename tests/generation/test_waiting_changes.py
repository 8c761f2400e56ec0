"""Changes that wait for a step of a stream."""

import pytest

from tonearm.errors import TonearmError
from tonearm.generation.waiting_changes import (
    MAX_WAITING,
    Change,
    TooLate,
    WaitingChanges,
)
from tonearm.steering import Control


def guidance(value: float) -> Change:
    return Change(Control(target="guidance", value=value))


def test_changes_are_taken_in_their_order_and_once():
    waiting, changes = WaitingChanges(), [guidance(1), Change(Control.strength("push", 2))]
    for one in changes:
        waiting.put(one)
    assert waiting.take() == changes and waiting.take() == []
    assert all(one.took_effect.running() for one in changes)


def test_beyond_the_limit_the_oldest_change_of_the_same_setting_is_replaced():
    waiting, other = WaitingChanges(), Change(Control.strength("push", 2))
    changes = [guidance(index) for index in range(90)]
    waiting.put(other)
    for one in changes:
        waiting.put(one)
    replaced = [one for one in changes if one.took_effect.done()]
    assert replaced == changes[: len(changes) + 1 - MAX_WAITING]
    with pytest.raises(TooLate, match="newer change of the same setting"):
        changes[0].took_effect.result()
    assert waiting.take() == [other, *changes[len(replaced) :]]


def test_a_change_of_another_setting_replaces_none():
    waiting, changes = WaitingChanges(), [guidance(index) for index in range(MAX_WAITING)]
    for one in [*changes, Change(Control(target="mute", value=1))]:
        waiting.put(one)
    assert not any(one.took_effect.done() for one in changes)
    assert len(waiting.take()) == MAX_WAITING + 1


def test_a_cancelled_change_is_left_out_and_a_replaced_one_may_be_cancelled():
    waiting, changes = WaitingChanges(), [guidance(index) for index in range(MAX_WAITING + 1)]
    assert changes[0].took_effect.cancel() and changes[5].took_effect.cancel()
    for one in changes:
        waiting.put(one)
    assert waiting.take() == [*changes[1:5], *changes[6:]]


def test_those_that_wait_at_the_end_are_refused_and_later_ones_too():
    waiting, change = WaitingChanges(), guidance(2)
    change.took_effect.add_done_callback(lambda _: waiting.close())  # may call any method
    waiting.put(change)
    waiting.close()
    with pytest.raises(TooLate, match="ended before"):
        change.took_effect.result()
    with pytest.raises(TonearmError, match="has ended"):
        waiting.put(guidance(3))
