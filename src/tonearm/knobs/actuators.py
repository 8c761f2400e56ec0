"""Actuators of a closed loop: what a wanted effect sets in a stream.

AmountActuator  the amount of the vector, by the table of its calibration
LevelActuator   the level of operator set, by a table of levels: an inner loop, which holds the
                projection on the direction at every frame, within the outer one
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from tonearm.errors import TonearmError
from tonearm.generation.stream import Stream
from tonearm.steering.response import KnobRange


class Actuator(Protocol):
    """Means of a loop.

    span  of its values, of which the settings of a loop are shares
    """

    @property
    def span(self) -> float: ...

    def value_for(self, effect: float) -> float:
        """The value that has an effect."""
        ...

    def steer(self, value: float) -> float | str:
        """The right side of a steer with this value."""
        ...

    def set(self, stream: Stream, vector: str, value: float) -> None:
        """Set the value in a stream."""
        ...


@dataclass(frozen=True)
class AmountActuator:
    """Sets the amount."""

    knob: KnobRange
    span: float = 1.0

    def value_for(self, effect: float) -> float:
        return self.knob.amount_for(effect)

    def steer(self, value: float) -> float | str:
        return value

    def set(self, stream: Stream, vector: str, value: float) -> None:
        stream.set_amount(vector, value)


@dataclass(frozen=True)
class LevelActuator:
    """Sets the level.

    levels  (level, effect) in the order of the levels, with effects that rise or that fall; between
            two of them an effect is interpolated, beyond them it is that of the end

    Raises:
        TonearmError: fewer than two, or effects that turn back.
    """

    levels: Sequence[tuple[float, float]]

    def __post_init__(self) -> None:
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(self.levels)]
        in_order = all(level > 0 for level, _ in steps)
        if not steps or not in_order or min(e for _, e in steps) * max(e for _, e in steps) <= 0:
            raise TonearmError(
                f"levels {list(self.levels)} are no table; give two or more (level, effect), whose "
                "levels rise, and whose effects all rise or all fall"
            )

    @property
    def span(self) -> float:
        return max(abs(level) for level, _ in self.levels)

    def value_for(self, effect: float) -> float:
        levels, effects = np.array(self.levels).T
        order = np.argsort(effects)
        return float(np.interp(effect, effects[order], levels[order]))

    def steer(self, value: float) -> float | str:
        return f"{value!r}@set"

    def set(self, stream: Stream, vector: str, value: float) -> None:
        stream.set_level(vector, value)
