"""Steers of a stream, as controls change them while it plays."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from tonearm.errors import TonearmError
from tonearm.schema import validated
from tonearm.steering.amounts import AmountPlace
from tonearm.steering.combination import share_of_steer
from tonearm.steering.controls import Control, Setting
from tonearm.steering.response import KnobRange
from tonearm.steering.spec import Steer, Steering

# setting of a steer -> its schedule
SCHEDULES = {"strength": "schedule", "level": "level_schedule"}


@dataclass(frozen=True)
class SteerChange:
    """New value of a steer's strength or level; `position` is its index in the stream's list."""

    position: int
    setting: Literal["strength", "level"]
    value: float


@dataclass(frozen=True)
class LiveSteers:
    """The steers of a stream.

    steering  with strengths in place of amounts
    amounts   the steers that stand for amounts
    share     factor of the strengths that are set, of operators that push (combination.py)
    """

    steering: Steering
    amounts: Collection[AmountPlace]
    share: float = 1.0

    def has(self, control: Control) -> bool:
        """Whether a steer of the control's vector is set in its way."""
        vector, setting = control.vector, control.setting
        return vector is not None and setting is not None and bool(self._positions(vector, setting))

    def changes(self, control: Control) -> list[SteerChange]:
        """Changes by a control of a vector.

        Raises:
            TonearmError: a vector that the stream does not have, or not in this way; an amount of a
                sign that failed its calibration; a target outside the range; a value that the operator does not allow.
        """
        vector, setting = control.vector, control.setting
        assert vector is not None and setting is not None
        if not self._positions(vector, setting):
            raise TonearmError(self._absent(vector, setting))
        value = control.value
        if setting == "target":
            setting, value = "amount", self._amount_of(vector, value)
        if setting == "amount":
            self._check_amount(vector, value)
        changes = list(self._changes(vector, setting, value))
        for one in changes:
            fields = self.steering.steers[one.position].model_dump()
            fields |= {one.setting: one.value, SCHEDULES[one.setting]: None}
            validated(Steer, fields, where=f"steer {vector}")
        return list(map(self._shared, changes))

    def _shared(self, change: SteerChange) -> SteerChange:
        """The change with the strength that the rule of combination leaves of it."""
        share = share_of_steer(self.steering.steers[change.position], self.share)
        is_level = change.setting == "level"
        return change if is_level else replace(change, value=share * change.value)

    def _changes(self, vector: str, setting: Setting, value: float) -> Iterator[SteerChange]:
        if setting == "amount":
            for place in self.amounts:
                if place.vector == vector:
                    yield SteerChange(place.position, "strength", place.strength_at(value))
            return
        assert setting != "target", "a target has become an amount"
        for position in self._positions(vector, setting):
            yield SteerChange(position, setting, value)

    def _amount_of(self, vector: str, target: float) -> float:
        """The amount of a target, in the relative unit of the knob."""
        responses = {
            place.sign: place.response
            for place in self.amounts
            if place.vector == vector and place.response is not None
        }
        return KnobRange(vector, responses).amount_for(target)

    def _check_amount(self, vector: str, amount: float) -> None:
        validated(Steer, {"vector": vector, "amount": amount}, where=f"steer {vector}")
        signs = {place.sign for place in self.amounts if place.vector == vector}
        if amount and (1 if amount > 0 else -1) not in signs:
            raise TonearmError(
                f"steer {vector}: its {'+' if amount > 0 else '-'} sign has no amounts, "
                "since it failed its calibration; set the other sign, or start the stream "
                f"with a strength, such as {vector}=raw:0"
            )

    def _positions(self, vector: str, setting: Setting) -> list[int]:
        """Indices of the vector's steers that have amounts, strengths, or levels."""
        of_amounts = {place.position for place in self.amounts}
        return [
            position
            for position, steer in enumerate(self.steering.steers)
            if steer.vector == vector
            and (position in of_amounts) == (setting in ("amount", "target"))
            and (setting != "level" or steer.operator == "set")
        ]

    def _absent(self, vector: str, setting: Setting) -> str:
        """The message for a vector that the stream does not have in this way."""
        others: tuple[tuple[Setting, str], ...] = (("amount", "an"), ("strength", "a"))
        for other, article in others:
            if self._positions(vector, other):
                return (
                    f"vector {vector!r} has {article} {other} in this stream; set {other}/{vector}"
                )
        names = ", ".join(dict.fromkeys(steer.vector for steer in self.steering.steers)) or "none"
        start = f"{vector}=0@set" if setting == "level" else "at 0"
        return (
            f"vector {vector!r} is not in this stream (it has {names}); "
            f"name it when the stream starts, {start}"
        )
