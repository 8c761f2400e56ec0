"""Ridge: one family of directions from LDA to DiffMean.

    v(λ) = (Sw + λ t I)^-1 δ,    t = tr(Sw) / D

δ is the difference of the class means and Sw the covariance within the classes. λ is in units of
their mean variance, so that it does not depend on the scale of the activations.

    λ                    direction
    0                    LDA ("whitened DiffMean"), which is also that of ordinary least squares of
                         labels +1 and -1 with an intercept: the MSE probe of Panda et al.
    ρ / (1 - ρ)          Ledoit & Wolf's shrinkage, of intensity ρ
    MAX_LAMBDA and more  DiffMean

Small λ follows directions of little variance, which separate well and may steer badly: compare
effects on generated music, not only AUC.

Both class means weigh the same, whatever the counts of the classes; Sw is pooled over all rows. The
identity with least squares holds for any counts.

For numbers (BPM, a spectral centroid) the formula holds with δ = cov(x, y) and Sw the covariance of
the residuals of x on y; its far end is the covariance vector, the DiffMean of numbers.

Numerics: float64, in the principal axes of the rows. (Sw + c I)^-1 δ and (St + c I)^-1 δ have one
direction for the total covariance St = Sw + δδ^T times a constant, so that one decomposition serves
all targets and all λ. Axes without variance are left out; at λ = 0 this is the solution of least
squares with the smallest norm.

Shapes: n rows; D width; r principal axes; R values of λ; P targets.

Source: Fisher 1936; Ledoit & Wolf 2004; Panda et al. 2025, IV-C.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tonearm.errors import TonearmError
from tonearm.methods.base import number_option, register
from tonearm.methods.principal_axes import PrincipalAxes, principal_axes
from tonearm.methods.probe import LinearProbe
from tonearm.methods.solver import Solved, Solver, unit

MAX_LAMBDA = 1e6
GRID = tuple(10.0**power for power in range(3, -5, -1))  # of `ridge` without a λ


@dataclass(frozen=True)
class RidgeSolver:
    """Directions of the family.

    lambdas  the largest first, 0 to MAX_LAMBDA; None is Ledoit & Wolf's
    """

    lambdas: tuple[float | None, ...]

    @property
    def regularisation(self) -> str:
        return "lambda"

    def solve(self, rows: np.ndarray, targets: np.ndarray) -> Solved:
        """Fit directions from rows [n, D] to targets [n, P]."""
        width = rows.shape[1]
        axes = principal_axes(rows)
        centred = targets - targets.mean(0)
        delta = axes.coordinates.T @ centred / len(rows)  # cov(x, y) along the axes, [r, P]
        variance = np.square(centred).mean(0)  # of the targets, [P]
        within = axes.variances.sum() - np.square(delta).sum(0) / variance  # tr(Sw), [P]
        mean_variance = np.maximum(within, 0) / width
        lambdas = np.array(
            [
                ledoit_wolf(axes, centred, width)
                if one is None
                else np.full(len(variance), one, dtype=np.float64)
                for one in self.lambdas
            ]
        )  # [R, P]
        penalty = (lambdas * mean_variance)[:, None]  # [R, 1, P]
        filtered = delta / (axes.variances[:, None] + penalty)  # [R, r, P]
        return Solved(unit((axes.directions @ filtered).swapaxes(1, 2)), lambdas)

    def only(self, index: int) -> Solver:
        return RidgeSolver((self.lambdas[index],))


def ledoit_wolf(axes: PrincipalAxes, targets: np.ndarray, width: int) -> np.ndarray:
    """Compute λ = ρ / (1 - ρ) of Ledoit & Wolf's shrinkage of Sw, at most MAX_LAMBDA.

    Args:
        axes: of the rows.
        targets: centred, [n, P].
        width: D of the rows.

    Returns:
        float64 [P].
    """
    n = len(targets)
    variance = np.square(targets).mean(0)  # [P]
    delta = axes.coordinates.T @ targets / n  # [r, P]
    scaled = targets / variance  # a residual is x - scaled * delta
    squares = (
        np.square(axes.coordinates).sum(1)[:, None]
        - 2 * scaled * (axes.coordinates @ delta)
        + np.square(scaled) * np.square(delta).sum(0)
    )  # squared lengths of the residuals, [n, P]
    lengths = np.square(delta).sum(0)  # [P]
    trace = axes.variances.sum() - lengths / variance
    frobenius = (
        np.square(axes.variances).sum()
        - 2 * (axes.variances @ np.square(delta)) / variance
        + np.square(lengths / variance)
    )  # |Sw|^2
    noise = (np.square(squares).mean(0) - frobenius) / n
    spread = frobenius - np.square(trace) / width
    found = np.full(len(variance), MAX_LAMBDA)
    is_finite = noise < MAX_LAMBDA * (spread - noise)
    return np.divide(noise, spread - noise, out=found, where=is_finite)


class LDA(LinearProbe):
    """Linear discriminant analysis with Ledoit & Wolf's shrinkage."""

    name = "lda"
    solver: Solver = RidgeSolver((None,))


class MSEProbe(LinearProbe):
    """Least squares of labels +1 and -1 with an intercept (Panda et al. 2025): λ = 0."""

    name = "mse-probe"
    solver: Solver = RidgeSolver((0.0,))


class Ridge(LinearProbe):
    """One λ for all layers, or for each layer the λ of GRID with the best AUC on validation parts.

    lam  0 to MAX_LAMBDA; None chooses
    """

    option: ClassVar[str] = "LAMBDA"

    def __init__(self, lam: float | None = None):
        self.name = "ridge" if lam is None else f"ridge:{lam:g}"
        self.solver: Solver = RidgeSolver(GRID if lam is None else (lam,))

    def with_option(self, text: str) -> "Ridge":
        """Return the method with λ from a text. Raises TonearmError for another text."""
        return Ridge(check_lambda(number_option("ridge", text, example=0.1)))


def check_lambda(lam: float) -> float:
    """Return λ. Raises TonearmError outside 0 to MAX_LAMBDA."""
    if not 0 <= lam <= MAX_LAMBDA:
        raise TonearmError(
            f"lambda {lam:g} is not possible; use 0 (LDA) to {MAX_LAMBDA:g} (DiffMean), "
            "in units of the mean variance within the classes"
        )
    return lam


register(LDA())
register(MSEProbe())
register(Ridge())
