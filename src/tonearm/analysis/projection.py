"""Two classes of activations in the plane of their first principal components, with densities.

Source: Facchiano et al. 2025, fig. 2. PCA shows where the variance is, which need not be where the
classes differ; the separation along their own DiffMean direction is given beside it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import gaussian_kde
from sklearn.decomposition import PCA

from tonearm.errors import TonearmError

GRID = 60  # points per axis of a density
MARGIN = 0.1  # of the range, around the points
THINNEST = 1e-6  # width of a class over its length


@dataclass(frozen=True)
class Plane:
    """Two classes in the plane.

    positive    coordinates, float64 [n, 2]
    negative    likewise
    variance    share of the variance on each axis
    x, y        of the grid, float64 [G]
    densities   of the positive and the negative class on the grid, float64 [2, G, G], rows by y
    separation  d' of the classes along their DiffMean direction, in the whole space
    in_plane    d' along the difference of the means in the plane
    """

    positive: np.ndarray
    negative: np.ndarray
    variance: tuple[float, float]
    x: np.ndarray
    y: np.ndarray
    densities: np.ndarray
    separation: float
    in_plane: float


def project(positive: np.ndarray, negative: np.ndarray) -> Plane:
    """Project two classes of activations [n, D] and [m, D] onto two principal components.

    Raises:
        TonearmError: fewer than 3 activations of a class.
    """
    if min(len(positive), len(negative)) < 3:
        raise TonearmError("a density needs 3 or more activations of each class")
    both = np.concatenate([positive, negative]).astype(np.float64)
    pca = PCA(2, svd_solver="full").fit(both)
    flat = pca.transform(both)
    first, second = flat[: len(positive)], flat[len(positive) :]
    low, high = flat.min(0), flat.max(0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    x, y = (np.linspace(low[axis], high[axis], GRID) for axis in (0, 1))
    grid = np.stack(np.meshgrid(x, y)).reshape(2, -1)
    return Plane(
        positive=first,
        negative=second,
        variance=(
            float(pca.explained_variance_ratio_[0]),
            float(pca.explained_variance_ratio_[1]),
        ),
        x=x,
        y=y,
        densities=np.stack([_density(points, grid) for points in (first, second)]),
        separation=separation(positive, negative),
        in_plane=separation(first, second),
    )


def _density(points: np.ndarray, grid: np.ndarray) -> np.ndarray:
    widths = np.linalg.svd(points - points.mean(0), compute_uv=False)
    if widths[1] <= THINNEST * widths[0]:
        raise TonearmError(
            "the activations of a class lie on a line, so that they have no density in the plane"
        )
    return gaussian_kde(points.T)(grid).reshape(GRID, GRID)


def separation(positive: np.ndarray, negative: np.ndarray) -> float:
    """d': distance of the class means along their difference, over the pooled deviation there."""
    positive, negative = (np.asarray(side, dtype=np.float64) for side in (positive, negative))
    direction = positive.mean(0) - negative.mean(0)
    length = np.linalg.norm(direction)
    if not length:
        return 0.0
    along = [side @ (direction / length) for side in (positive, negative)]
    pooled = np.sqrt(np.mean([side.var(ddof=1) for side in along]))
    return float((along[0].mean() - along[1].mean()) / pooled) if pooled else float("inf")
