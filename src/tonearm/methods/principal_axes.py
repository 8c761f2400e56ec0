"""Principal axes of rows, from the smaller of their covariance and their Gram matrix.

Shapes: n rows; D width; r axes, at most the smaller of n - 1 and D.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PrincipalAxes:
    """Axes with variance, in no given order.

    directions   orthonormal columns, float64 [D, r]
    variances    of the rows along them, float64 [r], all positive
    coordinates  of the centred rows, float64 [n, r]
    """

    directions: np.ndarray
    variances: np.ndarray
    coordinates: np.ndarray


def principal_axes(rows: np.ndarray) -> PrincipalAxes:
    """Decompose the covariance of rows [n, D].

    Axes whose variance is below max(n, D) times the rounding error of the largest are left out.
    """
    n, width = rows.shape
    centred = rows - rows.mean(0)
    if n < width:
        variances, left = np.linalg.eigh(centred @ centred.T / n)
        kept = _above_rounding(variances, rows.shape)
        variances = variances[kept]
        coordinates = left[:, kept] * np.sqrt(n * variances)
        directions = centred.T @ (left[:, kept] / np.sqrt(n * variances))
        return PrincipalAxes(directions, variances, coordinates)
    variances, directions = np.linalg.eigh(centred.T @ centred / n)
    kept = _above_rounding(variances, rows.shape)
    directions = directions[:, kept]
    return PrincipalAxes(directions, variances[kept], centred @ directions)


def _above_rounding(variances: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return variances > max(shape) * np.finfo(np.float64).eps * max(variances[-1], 0.0)
