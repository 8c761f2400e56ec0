"""Linear discriminant analysis of several classes, with Ledoit & Wolf's shrinkage.

    score of class c = x · S^-1 μc - μc · S^-1 μc / 2,    S = (1 - ρ) Sw + ρ (tr(Sw) / D) I

Sw is the covariance of the rows around the means of their classes, pooled over all classes, and ρ
Ledoit & Wolf's intensity. All classes have the same prior, whatever their counts. For two classes
the direction S^-1 (μ1 - μ0) is that of the method `lda`.

Numerics: float64.

Shapes: n rows; m new rows; D width; C classes.

Source: Fisher 1936; Ledoit & Wolf 2004. A linear probe of one-hot labels (Panda et al. 2025, IV-B)
without shrinkage spans the same directions (Hastie et al. 1994).
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

LEAST_RIDGE = 1e-9  # of the mean variance, where the shrinkage is 0


def predict_classes(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Fit on rows with labels, and predict the labels of other rows.

    Args:
        train: [n, D].
        labels: class of each row, int [n] from 0; every class below the highest occurs.
        test: [m, D].

    Returns:
        Class of each row of `test`, int [m].
    """
    counts = np.bincount(labels)
    one_hot = np.eye(len(counts))[labels]  # [n, C]
    means = one_hot.T @ train / counts[:, None]  # [C, D]
    centre = means.mean(0)  # removing it keeps the scores' differences exact for large offsets
    means = means - centre
    covariance = shrunk_covariance(train - centre - means[labels])
    weights = cho_solve(cho_factor(covariance, lower=True), means.T)  # [D, C]
    offsets = (means * weights.T).sum(1) / 2
    return np.asarray(((test - centre) @ weights - offsets).argmax(1))


def shrunk_covariance(residuals: np.ndarray) -> np.ndarray:
    """Covariance of rows with mean 0, shrunk towards a multiple of the identity.

    Args:
        residuals: [n, D].

    Returns:
        float64 [D, D], positive definite; the identity where all rows are 0.
    """
    n, width = residuals.shape
    found = residuals.T @ residuals / n
    if not found.any():
        return np.eye(width)
    variance = np.trace(found) / width
    norm = np.square(found).sum()
    noise = (np.square(np.square(residuals).sum(1)).mean() - norm) / n
    spread = norm - width * variance**2
    intensity = min(1.0, noise / spread) if spread > 0 else 1.0
    shrunk = (1 - intensity) * found
    shrunk[np.diag_indices(width)] += (intensity + LEAST_RIDGE) * variance
    return np.asarray(shrunk)
