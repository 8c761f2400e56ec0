"""Task of a linear direction: targets of the rows, their contrast δ, and the held-out metric.

Shapes: n rows; D width; P targets; R regularisations; m rows of a part.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tonearm.methods.metrics import auc, correlation
from tonearm.methods.splits import permuted, permuted_numbers


@dataclass(frozen=True)
class Metric:
    """Agreement of projections with targets.

    name   of the score
    score  projections [R, P, m], targets [P, m] -> [R, P]
    """

    name: str
    score: Callable[[np.ndarray, np.ndarray], np.ndarray]


AUC = Metric("auc", auc)
CORRELATION = Metric("correlation", correlation)


@dataclass(frozen=True)
class Task:
    """Targets of rows.

    targets  +1 and -1 for two classes, else z-scored numbers; float64 [n]
    weights  of the rows in the contrast δ, float64 [n]
    strata   int [n], kept in equal shares by folds
    metric   of held-out rows
    """

    targets: np.ndarray
    weights: np.ndarray
    strata: np.ndarray
    metric: Metric

    def contrast(self, rows: np.ndarray) -> np.ndarray:
        """δ of rows [n, D]: difference of the class means, or cov(x, y); float64 [D]."""
        return self.weights @ (rows - rows.mean(0))

    def permuted(self, groups: np.ndarray, folds: np.ndarray, count: int, seed: int) -> np.ndarray:
        """Targets that carry no information about the rows, [n, P]; see `splits.permuted`."""
        permute = permuted if self.metric is AUC else permuted_numbers
        return permute(self.targets, groups, folds, count, seed)

    def part(self, index: np.ndarray) -> "Task":
        """Task of a part of the rows, by their indices; it holds every class, or numbers that differ."""
        return (classes if self.metric is AUC else numbers)(self.targets[index])


def classes(labels: np.ndarray) -> Task:
    """Two classes: labels above 0 are the positive one, [n]. Their means weigh the same."""
    positive = labels > 0
    weights = np.where(positive, 1 / positive.sum(), -1 / (~positive).sum())
    signs = np.where(positive, 1.0, -1.0)
    return Task(signs, weights, positive.astype(np.int64), AUC)


def numbers(values: np.ndarray) -> Task:
    """Continuous targets, [n], z-scored. Folds keep the shares of their terciles."""
    scored = (values - values.mean()) / values.std()
    terciles = np.digitize(scored, np.quantile(scored, [1 / 3, 2 / 3]))
    return Task(scored, scored / len(scored), terciles, CORRELATION)
