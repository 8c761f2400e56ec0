"""Outcome of a target: the asked and the measured value."""

from dataclasses import dataclass
from math import log2

from tonearm.steering.units import UnitName

# How far a measured value may be from the asked one, in the unit; within it, the target is met.
TOLERANCES: dict[UnitName, float] = {
    "st": 1.5,
    "lu": 1.5,
    "onsets": 0.5,
    "%": 5.0,
    "db": 3.0,
    "points": 5.0,
    "cosine": 0.05,
    "share": 0.05,
}
TEMPO_TOLERANCE = 0.05  # relative, of a BPM


@dataclass(frozen=True)
class Outcome:
    """A target and its measurement.

    name      of the knob
    asked     in `unit`
    unit      st, bpm, ...
    measured  in the same unit, on the take; None where it is not defined, such as a take without a
              confirmed beat
    plain     measure of the same music without the knobs, that a change is counted from: the mean of
              the plain twins; None for an absolute target
    value     measure of the take itself
    measure   its name
    """

    name: str
    asked: float
    unit: UnitName
    measured: float | None
    plain: float | None
    value: float | None
    measure: str

    @property
    def is_met(self) -> bool:
        """Whether the measured value is within the tolerance of the unit."""
        return self.distance <= 1

    @property
    def distance(self) -> float:
        """Deviation in tolerances; infinite where nothing was measured."""
        if self.measured is None:
            return float("inf")
        if self.unit == "bpm":
            if self.measured <= 0:
                return float("inf")
            return abs(log2(self.measured / self.asked)) / log2(1 + TEMPO_TOLERANCE)
        return abs(self.measured - self.asked) / tolerance(self.unit, self.asked)

    def to_dict(self) -> dict[str, str | float | bool | None]:
        """For JSON."""
        return {
            "knob": self.name,
            "asked": self.asked,
            "unit": self.unit,
            "measured": self.measured,
            "plain": self.plain,
            "value": self.value,
            "measure": self.measure,
            "met": self.is_met,
        }

    def __str__(self) -> str:
        """`tempo: asked 128 bpm, measured 127.6 bpm, met`"""
        relative = self.plain is not None
        asked, measured = (
            "nothing" if one is None else f"{one:{'+' if relative else ''}.{_decimals(self.unit)}f}"
            for one in (self.asked, self.measured)
        )
        verdict = "met" if self.is_met else "missed"
        return f"{self.name}: asked {asked} {self.unit}, measured {measured} {self.unit}, {verdict}"


def tolerance(unit: UnitName, asked: float) -> float:
    """Tolerance of a unit; of an absolute one, that of the relative unit at the asked value."""
    if unit == "hz":
        return asked * (2 ** (TOLERANCES["st"] / 12) - 1)
    return TOLERANCES["lu"] if unit == "lufs" else TOLERANCES[unit]


def _decimals(unit: UnitName) -> int:
    return {"hz": 0, "%": 0, "cosine": 3, "share": 3, "onsets": 2}.get(unit, 1)
