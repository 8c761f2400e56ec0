"""LEACE: the least-squares affine edit of activations after which no linear probe finds a concept.

    h  ->  h - W⁺ P W (h - μ),    W = Sxx^-1/2,    P = projector on the columns of W Sxz

x are activations with mean μ, z their one-hot classes. The edit makes all class means equal, of all
affine edits that do so with the smallest mean square change, and has rank classes - 1 at most. It
is an affine map and not a direction: for analysis of captured rows. In generation the operator
`remove` takes out one direction, which has to be the difference of the class means (DiffMean).

Sxx is shrunk towards a multiple of I (Bodnar et al. 2014). The edit makes the class means equal for
any W that is invertible, and since the shrunk covariance has the axes of the sample's, it adds no
variance (Chebyshev's sum inequality).

Numerics: float64; moments are added batch by batch (Chan, Golub & LeVeque 1983).

Shapes: n rows; D width; K classes; k rank of the edit.

Source: Belrose et al. 2023, and EleutherAI/concept-erasure; Bodnar, Gupta & Parolya 2014.
"""

from dataclasses import dataclass

import numpy as np

from tonearm import boundary
from tonearm.errors import TonearmError

SMALLEST = 0.01  # singular value of W Sxz that counts as a concept


class CrossMoments:
    """Running means and covariances of rows [n, D] and their one-hot classes [n, K].

    Args:
        classes: K, 2 or more.
    """

    def __init__(self, classes: int):
        if boundary.integer(classes, "classes") < 2:
            raise TonearmError(f"{classes} classes hold no concept; give 2 or more")
        self.classes = classes
        self.count = 0
        self.mean = np.zeros(0)  # of (x, z), [D + K]
        self._products = np.zeros((0, 0))  # sum of products of deviations, [D + K, D + K]

    def add(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """Add rows.

        Args:
            rows: activations of one layer, [n, D].
            labels: class of each row from 0 to K - 1, int [n].

        Raises:
            TonearmError: rows and labels that do not match each other or earlier rows.
        """
        rows = boundary.array(rows, "rows", 2)
        labels = np.asarray(labels)
        if labels.shape != rows.shape[:1] or labels.dtype.kind not in "iu":
            raise TonearmError(
                f"labels do not fit {len(rows)} rows; give one whole number for each"
            )
        if not np.isin(labels, np.arange(self.classes)).all():
            raise TonearmError(f"a label is outside 0..{self.classes - 1}, the classes")
        if not len(rows):
            return
        joint = np.concatenate([rows, np.eye(self.classes)[labels]], axis=1)
        mean = joint.mean(0)
        products = (joint - mean).T @ (joint - mean)
        if not self.count:
            self.count, self.mean, self._products = len(joint), mean, products
            return
        if len(mean) != len(self.mean):
            raise TonearmError(
                f"rows are {rows.shape[1]} wide, earlier ones {len(self.mean) - self.classes}; "
                "give rows of one layer"
            )
        total = self.count + len(joint)
        gap = mean - self.mean
        self._products += products + np.outer(gap, gap) * (self.count * len(joint) / total)
        self.mean = self.mean + gap * (len(joint) / total)
        self.count = total

    @property
    def covariance(self) -> np.ndarray:
        """Of x, float64 [D, D]."""
        return self._products[: -self.classes, : -self.classes] / self.count

    @property
    def cross_covariance(self) -> np.ndarray:
        """Of x and z, float64 [D, K]."""
        return self._products[: -self.classes, -self.classes :] / self.count


@dataclass(frozen=True)
class Eraser:
    """The edit h - left right (h - mean).

    mean   float64 [D]
    left   float64 [D, k]
    right  float64 [k, D]
    """

    mean: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Erase the concept from rows [..., D] of the layer; float64."""
        return rows - (rows - self.mean) @ self.right.T @ self.left.T


def fit_leace(moments: CrossMoments, shrinkage: bool = True) -> Eraser:
    """Fit the edit.

    Args:
        moments: of rows and classes.
        shrinkage: of Sxx; without it, give more rows than D.

    Raises:
        TonearmError: fewer than two rows.
    """
    if moments.count < 2:
        raise TonearmError(f"{moments.count} rows have no covariance; give more")
    covariance, cross = moments.covariance, moments.cross_covariance
    mean = moments.mean[: -moments.classes]
    values, axes = np.linalg.eigh(shrunk(covariance, moments.count) if shrinkage else covariance)
    kept = values > len(values) * np.finfo(np.float64).eps * values[-1]
    roots, axes = np.sqrt(values[kept]), axes[:, kept]
    whitened = (axes / roots) @ axes.T @ cross  # W Sxz
    basis, sizes, _ = np.linalg.svd(whitened, full_matrices=False)
    basis = basis[:, sizes > SMALLEST]
    return Eraser(mean, (axes * roots) @ (axes.T @ basis), (basis.T @ axes / roots) @ axes.T)


def shrunk(covariance: np.ndarray, n: int) -> np.ndarray:
    """Shrink a sample covariance [D, D] of n rows towards a multiple of I (Bodnar et al. 2014).

    a S + (1 - a) (tr S / D) I,    a = 1 - (tr S)² / n / (|S|² - (tr S)² / D)
    """
    width = len(covariance)
    trace = np.trace(covariance)
    spread = np.square(covariance).sum() - trace**2 / width
    keep = 1 - trace**2 / n / spread if spread > 0 else 0.0
    keep = float(np.clip(keep, 0, 1))
    return keep * covariance + (1 - keep) * (trace / width) * np.eye(width)
