"""Physical units of targets: the change that a knob makes, on a scale close to the ear.

A relative target is a change against the same music without steering. An absolute one is a level
that the music is to have.

| unit     | target                          | kind     | measures                            |
|----------|---------------------------------|----------|-------------------------------------|
| st       | semitones of spectral centroid  | relative | spectral_centroid                   |
| hz       | spectral centroid               | absolute | spectral_centroid                   |
| lu       | loudness units                  | relative | loudness                            |
| lufs     | loudness                        | absolute | loudness                            |
| onsets   | onsets per second, more or less | relative | onset_rate, onset_rate_superflux    |
| %        | change of tempo                 | relative | tempo, bundled_tempo                |
| bpm      | tempo                           | absolute | tempo, bundled_tempo                |
| db       | decibels                        | relative | high_onset_level                    |
| points   | percentage points               | relative | tag:TAG                             |
| cosine   | of audio and words              | relative | clap:WORDS                          |
| share    | from 0 to 1                     | relative | pulse_clarity                       |

Measures whose values multiply (Hz, BPM) are compared by their ratio, the others by their
difference, so that equal steps of a unit are about equal to the ear.
"""

import math
from dataclasses import dataclass
from typing import Literal

from tonearm.errors import TonearmError
from tonearm.stats.effect import Scale
from tonearm.text import quoted

UnitName = Literal[
    "st", "hz", "lu", "lufs", "onsets", "%", "bpm", "db", "points", "cosine", "share"
]
ABSOLUTE: tuple[UnitName, ...] = ("hz", "lufs", "bpm")


@dataclass(frozen=True)
class ChangeUnit:
    """Unit of the change of a measure.

    name      of the relative unit
    scale     on which `tonearm.stats.effect` compares two values
    absolute  unit of the measure's own values; empty where a target cannot name one
    decimals  that are shown
    """

    name: UnitName
    scale: Scale
    absolute: UnitName | Literal[""]
    decimals: int

    def change(self, plain: float, value: float) -> float:
        """The change from `plain` to `value`, in this unit; on a log scale both are above 0."""
        return self.of_effect(value / plain - 1 if self.scale == "log" else value - plain)

    def applied(self, plain: float, change: float) -> float:
        """The value that lies `change` from `plain`; the inverse of `change`."""
        if self.name == "st":
            return float(plain * 2 ** (change / 12))
        if self.name == "%":
            return plain * (1 + change / 100)
        return plain + (change / 100 if self.name == "points" else change)

    def of_effect(self, change: float) -> float:
        """A change as `tonearm.stats.effect` gives it on this unit's scale, in this unit."""
        if self.name == "st":
            return 12 * math.log2(1 + change)
        return 100 * change if self.name in ("%", "points") else change

    def text(self, change: float) -> str:
        """A signed change with its unit, such as `+3.0 st`."""
        return f"{change:+.{self.decimals}f} {self.name}"


_SEMITONES = ChangeUnit("st", "log", "hz", 1)
_LOUDNESS = ChangeUnit("lu", "difference", "lufs", 1)
_ONSETS = ChangeUnit("onsets", "difference", "", 2)
_TEMPO = ChangeUnit("%", "log", "bpm", 0)
_DECIBELS = ChangeUnit("db", "difference", "", 1)
_POINTS = ChangeUnit("points", "difference", "", 1)
_COSINE = ChangeUnit("cosine", "difference", "", 3)
_SHARE = ChangeUnit("share", "difference", "", 3)
_OF_MEASURES = {
    "spectral_centroid": _SEMITONES,
    "loudness": _LOUDNESS,
    "onset_rate": _ONSETS,
    "onset_rate_superflux": _ONSETS,
    "tempo": _TEMPO,
    "bundled_tempo": _TEMPO,
    "high_onset_level": _DECIBELS,
    "pulse_clarity": _SHARE,
}


def unit_of(measure: str) -> ChangeUnit:
    """The unit in which a change of a measure is stated.

    Args:
        measure: of a calibration, such as spectral_centroid, tag:flute or clap:jazz.

    Raises:
        TonearmError: a measure without one.
    """
    kind, colon, _ = measure.partition(":")
    if colon and kind in ("tag", "clap"):
        return _POINTS if kind == "tag" else _COSINE
    if measure not in _OF_MEASURES:
        raise TonearmError(
            f"measure {quoted(measure)} has no unit; use one of {', '.join(_OF_MEASURES)}, "
            "tag:TAG or clap:WORDS"
        )
    return _OF_MEASURES[measure]


def unit_named(name: UnitName) -> ChangeUnit:
    """The relative unit of this name. Raises TonearmError for an absolute one."""
    for unit in dict.fromkeys(_OF_MEASURES.values()) | dict.fromkeys((_POINTS, _COSINE)):
        if unit.name == name:
            return unit
    raise TonearmError(f"unit {quoted(name)} is absolute, and no unit of a change")


# How a target's unit may be written.
_WRITTEN: dict[str, UnitName] = {
    "st": "st",
    "semitones": "st",
    "hz": "hz",
    "lu": "lu",
    "lufs": "lufs",
    "onsets": "onsets",
    "/s": "onsets",
    "%": "%",
    "bpm": "bpm",
    "db": "db",
    "points": "points",
    "pt": "points",
}
WRITTEN = tuple(_WRITTEN)


def parse_quantity(text: str) -> tuple[float, UnitName] | None:
    """Read a number with a unit: `128bpm`, `+3 st`, `-4LU`.

    Returns:
        The number and its unit; None where the text does not end in a unit.

    Raises:
        ValueError: no finite number stands before the unit.
    """
    folded = text.strip().lower()
    for written in sorted(_WRITTEN, key=len, reverse=True):
        if folded.endswith(written):
            number = float(folded.removesuffix(written))
            if not math.isfinite(number):
                raise ValueError(f"{number} is not finite")
            return number, _WRITTEN[written]
    return None
