"""Agreement of projections with labels or numbers.

Shapes: m rows along the last axis; leading axes are batches.
"""

import numpy as np
from scipy.stats import rankdata


def auc(projections: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Area under the ROC curve: share of pairs of a positive and a negative row in the right order.

    Args:
        projections: [..., P, m].
        labels: above 0 for the positive class, [P, m]; each row holds both classes.

    Returns:
        float64 [..., P]; a pair with equal projections counts one half.
    """
    positive = labels > 0
    above = positive.sum(-1)
    below = positive.shape[-1] - above
    ranks = (rankdata(projections, axis=-1) * positive).sum(-1)
    return np.asarray((ranks - above * (above + 1) / 2) / (above * below))


def correlation(projections: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Pearson's correlation; 0 where projections or numbers are constant.

    Args:
        projections: [..., P, m].
        numbers: [P, m].

    Returns:
        float64 [..., P].
    """
    first = projections - projections.mean(-1, keepdims=True)
    second = numbers - numbers.mean(-1, keepdims=True)
    scale = np.sqrt(np.square(first).sum(-1) * np.square(second).sum(-1))
    product = (first * second).sum(-1)
    return np.divide(product, scale, out=np.zeros_like(product), where=scale > 0)


def balanced_accuracy(
    projections: np.ndarray, labels: np.ndarray, threshold: np.ndarray
) -> np.ndarray:
    """Mean over both classes of the share of rows on their side of a threshold.

    Args:
        projections: [..., m].
        labels: above 0 for the positive class, [m].
        threshold: [...].

    Returns:
        float64 [...].
    """
    above = projections > threshold[..., None]
    positive = labels > 0
    return np.asarray((above[..., positive].mean(-1) + (~above)[..., ~positive].mean(-1)) / 2)


def d_prime(projections: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Distance of the mean projections of the two classes in units of the spread within them, d'.

    The spread is the root mean of both variances, so that both classes weigh the same.

    Args:
        projections: [..., m].
        labels: above 0 for the positive class, [m].

    Returns:
        float64 [...]; 0 where there is no spread.
    """
    positive = labels > 0
    sides = projections[..., positive], projections[..., ~positive]
    gap = sides[0].mean(-1) - sides[1].mean(-1)
    spread = np.sqrt((sides[0].var(-1) + sides[1].var(-1)) / 2)
    return np.divide(gap, spread, out=np.zeros_like(gap), where=spread > 0)


def midpoint(projections: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Halfway between the mean projections of the two classes: a threshold that ignores counts.

    Args:
        projections: [..., m].
        labels: above 0 for the positive class, [m].

    Returns:
        float64 [...].
    """
    positive = labels > 0
    means = projections[..., positive].mean(-1) + projections[..., ~positive].mean(-1)
    return np.asarray(means / 2)
