"""Solver protocol: rows and targets of one layer -> unit directions.

Shapes: n rows; D width; R regularisations; P targets.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Solved:
    """Directions of one layer.

    directions      unit length, float64 [R, P, D]; zero where there is none
    regularisation  float64 [R, P], in the solver's unit
    """

    directions: np.ndarray
    regularisation: np.ndarray


class Solver(Protocol):
    """Fits linear directions at one or more regularisations."""

    @property
    def regularisation(self) -> str | None:
        """Name of the unit of regularisation, for scores; None for a solver that has none."""
        ...

    def solve(self, rows: np.ndarray, targets: np.ndarray) -> Solved:
        """Fit a direction for every regularisation, the strongest first, and every target.

        Args:
            rows: float64 [n, D].
            targets: labels +1 and -1, or numbers, float64 [n, P].
        """
        ...

    def only(self, index: int) -> "Solver":
        """Return the solver with one of its regularisations."""
        ...


def unit(directions: np.ndarray) -> np.ndarray:
    """Scale to length 1 along the last axis; zero stays zero."""
    lengths = np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.divide(directions, lengths, out=np.zeros_like(directions), where=lengths > 0)
