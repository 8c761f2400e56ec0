"""Held-out scores of linear directions, and their permutation null.

Five grouped folds rotate: three train, one validates, one tests. In each rotation the validation
part chooses the regularisation and the best layer; the test part, which chose nothing, is reported.
Scores are means over the rotations.

The null repeats the procedure 200 times with targets permuted by group, and keeps the best layer's
test score of each permutation. Against this maximum the best layer of the true targets is compared,
so that the choice among layers is allowed for.

Shapes: n rows; m rows of a part; L layers; K rotations; D width; R regularisations; P targets (the
true ones first, then their permutations).

Source: nested cross-validation; maximum statistic of permutations (Westfall & Young 1993).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.methods.base import Rows
from tonearm.methods.metrics import balanced_accuracy, correlation, midpoint
from tonearm.methods.solver import Solver
from tonearm.methods.splits import FOLDS, Split, grouped_folds, rotations
from tonearm.methods.task import AUC, Metric, Task

PERMUTATIONS = 200
NULL_LEVEL = 0.95
DECIMALS = 9  # scores that differ by less are equal


@dataclass(frozen=True)
class HeldOut:
    """Held-out scores of a solver.

    test        metric on test parts, float64 [L]
    validation  metric on validation parts, float64 [L]
    accuracy    balanced accuracy on test parts, float64 [L]; NaN for numbers
    choice      index of the regularisation with the best metric on validation parts, int [L]
    best_layer  by the metric on validation parts
    best        test metric of the layer that each rotation's validation part chose
    null        best layer's test metric of each permutation, float64 [permutations]
    """

    test: np.ndarray
    validation: np.ndarray
    accuracy: np.ndarray
    choice: np.ndarray
    best_layer: int
    best: float
    null: np.ndarray

    @property
    def null_limit(self) -> float:
        """Metric that 95 % of the permutations do not exceed."""
        return float(np.quantile(self.null, NULL_LEVEL))

    @property
    def p_value(self) -> float:
        """Share of permutations, the true targets included, whose best layer scores as high."""
        return chance_of(self.test.max(), self.null)


def chance_of(score: float, null: np.ndarray) -> float:
    """Share of draws of the null [draws], `score` itself included, that are as high as `score`. Both
    are rounded to DECIMALS, so that scores that are equal but for their rounding are ties.
    """
    return float((1 + (null.round(DECIMALS) >= round(score, DECIMALS)).sum()) / (1 + len(null)))


def evaluate(
    rows: Rows,
    task: Task,
    groups: np.ndarray,
    solver: Solver,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> HeldOut:
    """Score a solver on groups that it did not see.

    Of layers with the same metric (1 for prompts that separate perfectly) the best is that whose
    projections correlate most with the targets; of such regularisations, the strongest.

    Args:
        rows: [n, L, D].
        task: targets of the rows.
        groups: of each row, int [n].
        solver: under test.
        permutations: of the null.
        seed: of folds and permutations.

    Raises:
        TonearmError: groups that cannot be divided into folds with every stratum.
    """
    folds = grouped_folds(task.strata, groups, FOLDS, seed)
    null = task.permuted(groups, folds, permutations, seed)
    targets = np.column_stack([task.targets, null])
    splits = rotations(folds)

    def score(layer: np.ndarray, split: Split) -> PartScores:
        solved = solver.solve(layer[split.train], targets[split.train])
        return score_part(solved.directions, layer, targets, split, task.metric)

    scored = [[score(layer, split) for split in splits] for layer in layers_of(rows)]
    return summarise(scored)


def layers_of(rows: Rows) -> Iterator[np.ndarray]:
    """Yield the rows [n, L, D] layer by layer, float64 [n, D]."""
    for layer in range(rows.shape[1]):
        yield rows[:, layer].double().numpy()


@dataclass(frozen=True)
class PartScores:
    """Scores of one layer in one rotation.

    validation   [R, P]
    test         [R, P]
    correlation  of projections and true targets on the validation part, [R]
    accuracy     balanced, of the true targets on the test part, [R]
    """

    validation: np.ndarray
    test: np.ndarray
    correlation: np.ndarray
    accuracy: np.ndarray


def score_part(
    directions: np.ndarray, rows: np.ndarray, targets: np.ndarray, split: Split, metric: Metric
) -> PartScores:
    """Score directions of a layer that were fitted to the training part of a rotation.

    Args:
        directions: unit, [R, P, D].
        rows: of the layer, [n, D].
        targets: [n, P].
        split: of the rotation.
        metric: of projections and targets.
    """
    train, validation, test = split.train, split.validation, split.test
    on_validation = directions @ rows[validation].T  # [R, P, m]
    on_test = directions @ rows[test].T
    accuracy = np.full(len(directions), np.nan)
    if metric is AUC:
        threshold = midpoint(directions[:, 0] @ rows[train].T, targets[train, 0])
        accuracy = balanced_accuracy(on_test[:, 0], targets[test, 0], threshold)
    return PartScores(
        validation=metric.score(on_validation, targets[validation].T).round(DECIMALS),
        test=metric.score(on_test, targets[test].T),
        correlation=correlation(on_validation[:, :1], targets[validation, :1].T)[:, 0],
        accuracy=accuracy,
    )


def summarise(scored: Sequence[Sequence[PartScores]]) -> HeldOut:
    """Choose regularisations and layers on validation parts; report test parts.

    Args:
        scored: by layer and rotation.
    """

    def stacked(name: str) -> np.ndarray:
        return np.array([[getattr(part, name) for part in layer] for layer in scored])

    validation, test = stacked("validation"), stacked("test")  # [L, K, R, P]
    agreement, accuracy = stacked("correlation"), stacked("accuracy")  # [L, K, R]
    own = validation.argmax(2)  # regularisation by rotation, [L, K, P]

    def at_own(values: np.ndarray) -> np.ndarray:
        """Values [L, K, R, P] at the regularisation of each rotation, [L, K, P]."""
        return np.take_along_axis(values, own[:, :, None, : values.shape[-1]], 2)[:, :, 0]

    own_test = at_own(test)
    by_layer = own_test.mean(1).round(DECIMALS)  # [L, P]
    own_validation, own_agreement = at_own(validation)[..., 0], at_own(agreement[..., None])[..., 0]
    nested = [
        own_test[best_index(own_validation[:, k], own_agreement[:, k]), k, 0]
        for k in range(test.shape[1])
    ]
    mean = validation[..., 0].mean(1).round(DECIMALS)  # [L, R]
    choice = mean.argmax(1)
    at_choice = np.arange(len(scored)), choice
    return HeldOut(
        test=by_layer[:, 0],
        validation=mean[at_choice],
        accuracy=at_own(accuracy[..., None])[..., 0].mean(1),
        choice=choice,
        best_layer=best_index(mean[at_choice], agreement.mean(1)[at_choice]),
        best=float(np.mean(nested)),
        null=by_layer[:, 1:].max(0),
    )


def best_index(scores: np.ndarray, ties: np.ndarray) -> int:
    """Index of the highest score [k]; of equal ones, that of the highest of `ties` [k]."""
    return int(np.lexsort((ties, scores))[-1])
