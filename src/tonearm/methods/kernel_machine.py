"""Recursive feature machine: kernel regression whose metric is learned from its own gradients.

    d_ij = sqrt((x_i - x_j)^T M (x_i - x_j)),    K = exp(-d / ℓ),    a = (K + ρ I)^-1 (y - mean y)
    ∇f(x_j) = -(1/ℓ) Σ_i a_i K_ij / d_ij  M (x_j - x_i)
    G = Σ_j ∇f(x_j) ∇f(x_j)^T,    M <- G

M starts as the identity. G is the average gradient outer product (AGOP) up to its scale, which has
no effect: the bandwidth ℓ is a multiple of the median distance under the current M, so that it means
the same at every layer and scale. The mean gradient is not removed from G: for a linear concept it
is the direction.

Numerics: float64, in the principal axes of the training rows. New rows are projected onto their
span, which M of later iterations does not leave. A pair of rows counts as equal below CLOSE of the
largest distance, which is rounding: its distance is 0, it has no part in the median and in the
gradients, and K stays positive definite. Memory: four matrices [n, n].

Shapes: n rows; m new rows; r coordinates in the principal axes.

Source: Radhakrishnan et al. 2024 (recursive feature machines); xRFM (github.com/dmbeaglehole/xRFM).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

CLOSE = 1e-6


@dataclass(frozen=True)
class Setting:
    """Regularisation of a kernel machine.

    bandwidth  ℓ, in median distances
    ridge      ρ, where K is 1 on its diagonal
    """

    bandwidth: float
    ridge: float


@dataclass(frozen=True)
class KernelMachine:
    """Kernel regression on training rows.

    metric   M, float64 [r, r]
    mapped   training rows times M, float64 [n, r]
    squares  of their lengths under M, float64 [n]
    length   ℓ
    weights  a, float64 [n]
    pull     a_i K_ij / d_ij by row j and column i, float64 [n, n]
    """

    metric: np.ndarray
    mapped: np.ndarray
    squares: np.ndarray
    length: float
    weights: np.ndarray
    pull: np.ndarray

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predict the targets of rows [m, r] up to a constant, float64 [m]."""
        squares = ((rows @ self.metric) * rows).sum(1)
        apart = _distances(rows, squares, self.mapped, self.squares)
        return np.asarray(np.exp(apart / -self.length) @ self.weights)

    def gradients(self) -> np.ndarray:
        """Gradients of the prediction at the training rows, float64 [n, r]."""
        pulled = self.pull.sum(1)[:, None] * self.mapped - self.pull @ self.mapped
        return np.asarray(pulled / -self.length)


def iterations(
    rows: np.ndarray, targets: np.ndarray, setting: Setting, count: int
) -> Iterator[KernelMachine]:
    """Yield the machines of successive metrics, the first of which is the identity.

    Args:
        rows: [n, r].
        targets: [n].
        setting: of all machines.
        count: of machines; fewer where the rows or the targets do not differ.
    """
    metric = np.eye(rows.shape[1])
    for _ in range(count):
        machine = _fitted(rows, targets, setting, metric)
        if machine is None:
            return
        yield machine
        gradients = machine.gradients()
        metric = gradients.T @ gradients
        largest = metric.max(initial=0.0)
        if not largest:
            return
        metric /= largest


def _fitted(
    rows: np.ndarray, targets: np.ndarray, setting: Setting, metric: np.ndarray
) -> KernelMachine | None:
    """Fit a machine; None where all rows are equal under the metric."""
    mapped = rows @ metric
    squares = (mapped * rows).sum(1)
    apart = _distances(rows, squares, mapped, squares)
    np.fill_diagonal(apart, 0)
    apart[apart <= CLOSE * apart.max()] = 0
    differs = apart > 0
    if not differs.any():
        return None
    length = setting.bandwidth * np.median(apart[differs])
    kernel = np.exp(apart / -length)
    system = kernel.copy()
    system[np.diag_indices_from(system)] += setting.ridge
    weights = cho_solve(cho_factor(system, overwrite_a=True), targets - targets.mean())
    pull = np.zeros_like(kernel)
    np.divide(kernel * weights, apart, out=pull, where=differs)
    return KernelMachine(metric, mapped, squares, length, weights, pull)


def _distances(
    rows: np.ndarray, squares: np.ndarray, mapped: np.ndarray, other_squares: np.ndarray
) -> np.ndarray:
    """Distances under M of rows [m, r] and n other rows, of which `mapped` is their product with M.

    Returns:
        float64 [m, n].
    """
    return np.sqrt(np.maximum(squares[:, None] + other_squares - 2 * rows @ mapped.T, 0))
