"""Changes of readings against plain takes of the same prompts.

    y_i = sense * (reading of the steered take of prompt i - mean over plain takes of prompt i) / s

s is the standard deviation of the reading over all plain takes, of all prompts and seeds, so that
changes of different readings compare. A steered take leaves its plain twin of the same seed within a
few frames, so that its own seed is worth no more than others: the mean over several plain takes of
the prompt has less noise.

Shapes: n prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan

import numpy as np

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
        own = _values(takes, reading, self.evaluators)
        known: dict[int, list[float]] = {}
        for one, value in zip(
            self.takes, _values(self.takes, reading, self.evaluators), strict=True
        ):
            if isfinite(value):
                known.setdefault(one["prompt"], []).append(float(value))
        before = [float(np.mean(known.get(one["prompt"], nan))) for one in takes]
        return np.asarray(own - np.array(before))

    def standardised(self, takes: Sequence[Record], reading: Reading) -> np.ndarray:
        """Changes in standard deviations of plain takes, float64 [n]."""
        return np.asarray(self.changes(takes, reading) / self.spread(reading))

    def mean_change(self, takes: Sequence[Record], reading: Reading) -> float:
        """Mean standardised change over the takes that have one; NaN where none has."""
        found = self.standardised(takes, reading)
        known = found[np.isfinite(found)]
        return float(known.mean()) if len(known) else nan


def _values(takes: Sequence[Record], reading: Reading, evaluators: Evaluators) -> np.ndarray:
    read = reader(reading, evaluators)
    found = [read(one) for one in takes]
    return np.array([nan if one is None else one for one in found], dtype=np.float64)
