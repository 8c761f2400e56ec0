"""Changes of readings against plain takes of the same prompts.

    y_i = sense * (reading of the steered take of prompt i - mean over plain takes of prompt i) / s

s is the standard deviation of the reading over all plain takes, of all prompts and seeds, so that
changes of different readings compare. A steered take leaves its plain twin of the same seed within a
few frames, so that its own seed is worth no more than others: the mean over several plain takes of
the prompt has less noise.

Shapes: n prompts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from statistics import fmean

import numpy as np

from tonearm.stats.share import Share
from tonearm.studies.methods2026.readings import Evaluators, Reading, reader
from tonearm.studies.records import Record


@dataclass(frozen=True, eq=False)
class Plain:
    """Plain takes, several of each prompt, and the evaluators of readings."""

    takes: Sequence[Record]
    evaluators: Evaluators

    def prompts(self) -> list[int]:
        """Numbers of the prompts."""
        return sorted({one["prompt"] for one in self.takes})

    def spread(self, reading: Reading) -> float:
        """Standard deviation over all plain takes; NaN under two takes, and where they are equal."""
        found = _values(self.takes, reading, self.evaluators)
        known = found[np.isfinite(found)]
        deviation = float(known.std(ddof=1)) if len(known) > 1 else nan
        return deviation if deviation else nan

    def changes(self, takes: Sequence[Record], reading: Reading) -> np.ndarray:
        """Changes of takes, one of each prompt, on the reading's axis in its sense, float64 [n].

        NaN where the take or all plain takes of its prompt have no number.
        """
        before = plain_means(self.takes, takes, reader(reading, self.evaluators))
        return _values(takes, reading, self.evaluators) - _as_array(before)

    def standardised(self, takes: Sequence[Record], reading: Reading) -> np.ndarray:
        """Changes in standard deviations of plain takes, float64 [n]."""
        return np.asarray(self.changes(takes, reading) / self.spread(reading))

    def mean_change(self, takes: Sequence[Record], reading: Reading) -> float:
        """Mean standardised change over the takes that have one; NaN where none has."""
        found = self.standardised(takes, reading)
        known = found[np.isfinite(found)]
        return float(known.mean()) if len(known) else nan


def plain_means(
    plain: Sequence[Record], takes: Sequence[Record], read: Callable[[Record], float | None]
) -> list[float | None]:
    """Mean of a value over the plain takes of the prompt of each take; None where there is none."""
    known: dict[int, list[float]] = {}
    for one in plain:
        value = read(one)
        if value is not None:
            known.setdefault(one["prompt"], []).append(value)
    return [fmean(known[one["prompt"]]) if one["prompt"] in known else None for one in takes]


def prompt_share(takes: Sequence[Record], is_case: Callable[[Record], bool]) -> Share:
    """Share of takes that are cases. The unit of its interval is the prompt, whose takes, one or
    several, are alike.
    """
    cases: dict[int, list[bool]] = {}
    for one in takes:
        cases.setdefault(one["prompt"], []).append(is_case(one))
    return Share.of(sum(fmean(found) for found in cases.values()), len(cases))


def _values(takes: Sequence[Record], reading: Reading, evaluators: Evaluators) -> np.ndarray:
    read = reader(reading, evaluators)
    return _as_array([read(one) for one in takes])


def _as_array(values: Sequence[float | None]) -> np.ndarray:
    return np.array([nan if one is None else one for one in values], dtype=np.float64)
