"""Response of a knob: the change of its measure over amounts, for one sign, as a table.

The table has 11 points from amount 0 to 1 of a fit that never turns back (isotonic regression of
the means over prompts), so that a target has one amount. An amount of 1 is the end of the range.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.schema import Declared
from tonearm.steering.units import ABSOLUTE, ChangeUnit, UnitName, unit_named

POINTS = 11
Finite = Annotated[float, Field(allow_inf_nan=False)]


class ResponsePoint(Declared):
    """The music at one amount, against plain takes of the same prompts and seeds.

    effect       change of the measure, in the unit of the response
    low, high    bounds of its 95 % interval over prompts
    fault_gain   gain in the share of faulty takes
    pulse_loss   relative loss of pulse clarity
    text_loss    loss of the CLAP score of take and prompt
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    amount: float = Field(ge=0, le=1)
    effect: Finite
    low: Finite
    high: Finite
    fault_gain: Finite = 0.0
    pulse_loss: Finite = 0.0
    text_loss: Finite = 0.0


class Response(Declared):
    """Effect over amount, of one sign.

    measure   whose change is the effect, such as spectral_centroid
    unit      of the effect
    plain     mean of the measure without steering, from which absolute targets are counted
    points    POINTS, in equal steps of the amount from 0 to 1; effects never turn back
    prompts   n
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: str
    unit: UnitName
    plain: Finite
    points: tuple[ResponsePoint, ...] = Field(min_length=POINTS, max_length=POINTS)
    prompts: int = Field(ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> "Response":
        amounts = [point.amount for point in self.points]
        if not np.allclose(amounts, np.linspace(0, 1, POINTS)):
            raise ValueError(f"amounts are not {POINTS} equal steps from 0 to 1: {amounts}")
        steps = np.diff([point.effect for point in self.points])
        if self.points[0].effect != 0 or ((steps > 0).any() and (steps < 0).any()):
            raise ValueError("effects do not begin at 0, or turn back")
        if self.unit in ABSOLUTE:
            raise ValueError(f"unit {self.unit} is absolute, and no unit of a change")
        if unit_named(self.unit).scale == "log" and self.plain <= 0:
            raise ValueError(f"plain {self.plain:g} is not possible for {self.unit}; it is above 0")
        return self

    @property
    def limit(self) -> float:
        """The effect at the end of the range."""
        return self.points[-1].effect

    def effect_at(self, amount: float) -> float:
        """The effect at an amount from 0 to 1, without its sign."""
        amounts, effects = self._table()
        return float(np.interp(boundary.number(amount, "amount"), amounts, effects))

    def reaches(self, effect: float) -> bool:
        """Whether an effect lies within the range of this sign."""
        effect = boundary.number(effect, "effect")
        return min(0.0, self.limit) <= effect <= max(0.0, self.limit)

    def amount_for(self, effect: float) -> float:
        """The smallest amount, from 0 to 1 and without its sign, that has an effect.

        Raises:
            TonearmError: the effect is outside the range.
        """
        if not self.reaches(effect):
            unit = unit_named(self.unit)
            raise TonearmError(
                f"an effect of {unit.text(effect)} is outside the range, 0 to {unit.text(self.limit)}"
            )
        amounts, effects = self._table()
        sizes = np.abs(effects)
        first = int(np.searchsorted(sizes, abs(effect)))
        if first == 0:
            return 0.0
        share = (abs(effect) - sizes[first - 1]) / (sizes[first] - sizes[first - 1])
        return float(amounts[first - 1] + share * (amounts[first] - amounts[first - 1]))

    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        return (
            np.array([point.amount for point in self.points]),
            np.array([point.effect for point in self.points]),
        )


@dataclass(frozen=True)
class KnobRange:
    """The responses of the signs of a vector that passed and have a table, by sign (1 or -1).

    Raises:
        TonearmError: there is none.
    """

    vector: str
    responses: Mapping[int, Response]

    def __post_init__(self) -> None:
        if not self.responses:
            raise TonearmError(
                f"vector {self.vector} has no table of responses, so it has no targets; run "
                "`tonearm calibrate` on it, or give an amount or a strength"
            )

    @property
    def unit(self) -> ChangeUnit:
        """The unit of the effects."""
        return unit_named(next(iter(self.responses.values())).unit)

    @property
    def measure(self) -> str:
        """Name of the measure."""
        return next(iter(self.responses.values())).measure

    @property
    def plain(self) -> float:
        """Mean of the measure without steering, on the prompts of the calibration."""
        return next(iter(self.responses.values())).plain

    @property
    def low(self) -> float:
        """The lowest effect; 0 where the sign that lowers the measure has no range."""
        return min(0.0, *(found.limit for found in self.responses.values()))

    @property
    def high(self) -> float:
        """The highest effect; 0 where the sign that raises the measure has no range."""
        return max(0.0, *(found.limit for found in self.responses.values()))

    def __str__(self) -> str:
        return f"{self.unit.text(self.low)} to {self.unit.text(self.high)}"

    def amount_for(self, effect: float, asked: str = "") -> float:
        """The smallest signed amount that has an effect.

        Args:
            effect: in the unit of the range.
            asked: the target as it was given, for the message; default: the effect.

        Raises:
            TonearmError: an effect outside the range, which the message gives.
        """
        for sign, response in self.responses.items():
            if response.reaches(effect):
                return sign * response.amount_for(effect)
        raise TonearmError(
            f"steer {self.vector}: {asked or self.unit.text(effect)} is outside its range, {self}"
        )
