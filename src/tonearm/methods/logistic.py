"""Logistic probe: the direction of L2-regularised logistic regression (binary cross-entropy).

    minimise  |w|² / 2 + C Σ c_i log(1 + exp(-y_i (w·x_i / s + b)))

with an intercept b, class weights c_i that give both classes the same total, and one scalar s per
layer, the root mean variance of a feature, so that C does not depend on the scale of activations.
The validation parts choose C of a log grid. Separable rows let |w| grow with C without limit, and
only w / |w| is kept: it goes from DiffMean's direction at small C to the largest margin.

Shapes: n rows; D width; R values of C; P targets.

Source: Panda et al. 2025, IV-C (binary cross-entropy).

Estimator: `sklearn.linear_model.LogisticRegression` by Newton's method, in the principal axes of
the rows.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tonearm.errors import TonearmError
from tonearm.methods.base import number_option, register
from tonearm.methods.principal_axes import principal_axes
from tonearm.methods.probe import LinearProbe
from tonearm.methods.ridge import RidgeSolver
from tonearm.methods.solver import Solved, Solver, unit

MIN_C, MAX_C = 1e-6, 1e6
GRID = tuple(10.0**power for power in range(-5, 3))
TOLERANCE = 1e-6  # of the gradient


@dataclass(frozen=True)
class LogisticSolver:
    """Directions of logistic regression.

    strengths  values of C, the smallest first
    """

    strengths: tuple[float, ...]

    @property
    def regularisation(self) -> str:
        return "C"

    def solve(self, rows: np.ndarray, targets: np.ndarray) -> Solved:
        """Fit directions from rows [n, D] to targets +1 and -1, [n, P]."""
        from sklearn.linear_model import LogisticRegression

        axes = principal_axes(rows)
        found = np.zeros((len(self.strengths), targets.shape[1], rows.shape[1]))
        regularisation = np.repeat(np.array(self.strengths)[:, None], targets.shape[1], axis=1)
        if not len(axes.variances):
            return Solved(found, regularisation)
        scaled = axes.coordinates / np.sqrt(axes.variances.sum() / rows.shape[1])
        for r, strength in enumerate(self.strengths):
            model = LogisticRegression(
                C=strength, class_weight="balanced", solver="newton-cholesky", tol=TOLERANCE
            )
            for p, labels in enumerate(targets.T):
                found[r, p] = axes.directions @ model.fit(scaled, labels).coef_[0]
        return Solved(unit(found), regularisation)

    def only(self, index: int) -> Solver:
        return LogisticSolver((self.strengths[index],))


class BCEProbe(LinearProbe):
    """One C for all layers, or for each layer the C of GRID with the best AUC on validation parts.

    The permutation null is that of LDA, which costs far less.

    strength  C, MIN_C to MAX_C; None chooses
    """

    option: ClassVar[str] = "C"
    tester: Solver | None = RidgeSolver((None,))

    def __init__(self, strength: float | None = None):
        self.name = "bce-probe" if strength is None else f"bce-probe:{strength:g}"
        self.solver: Solver = LogisticSolver(GRID if strength is None else (strength,))

    def with_option(self, text: str) -> "BCEProbe":
        """Return the method with C from a text. Raises TonearmError for another text."""
        strength = number_option("bce-probe", text, example=1)
        if not MIN_C <= strength <= MAX_C:
            raise TonearmError(
                f"C {strength:g} is not possible; use {MIN_C:g} (DiffMean) to {MAX_C:g} "
                "(largest margin)"
            )
        return BCEProbe(strength)


register(BCEProbe())
