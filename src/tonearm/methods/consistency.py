"""Consistency of directions: scores per layer that need no generated music.

    split_half_cosine  mean cosine of the directions of random halves of the groups
    d_prime            d' of one half's rows along the direction of the other half
    pair_cosine        mean cosine of the differences of two pairs, over all pairs of pairs

A pair is a group that holds both labels, such as two prompts of one scene; its difference is that
of the means of its rows. Directions with a high pair cosine and a high d' steer more reliably
(Braun 2026). Rows are not projected on directions that were fitted to them, which would give a d'
well above 0 for noise in many dimensions.

Shapes: n rows; L layers; D width; G groups.

Source: Braun 2026 (pair cosine and d' as a forecast of steering).
"""

from collections.abc import Sequence

import numpy as np

from tonearm.analysis.similarity import cosine_matrix
from tonearm.methods.base import Rows
from tonearm.methods.evaluation import layers_of
from tonearm.methods.metrics import d_prime
from tonearm.methods.solver import Solver, unit
from tonearm.methods.splits import grouped_folds
from tonearm.methods.task import AUC, Task

HALVES = 10  # draws of halves
SEED = 0  # of the halves


def consistency(
    rows: Rows, task: Task, groups: np.ndarray, solvers: Sequence[Solver]
) -> dict[str, np.ndarray]:
    """Score the consistency of the directions of a solver.

    Args:
        rows: [n, L, D].
        task: targets of the rows; d' and the pair cosine need classes.
        groups: of each row, int [n]; every stratum occurs in two or more.
        solvers: of each layer, with one regularisation, [L].

    Returns:
        float64 [L] by name; no pair cosine with fewer than two pairs.
    """
    halves = [grouped_folds(task.strata, groups, 2, SEED + draw) == 0 for draw in range(HALVES)]
    pairs = np.intersect1d(groups[task.strata > 0], groups[task.strata == 0])
    by_layer = []
    for layer, solver in zip(layers_of(rows), solvers, strict=True):
        found = _of_halves(layer, task, halves, solver)
        if task.metric is AUC and len(pairs) > 1:
            found["pair_cosine"] = mean_cosine(_differences(layer, task.targets, groups, pairs))
        by_layer.append(found)
    return {name: np.array([found[name] for found in by_layer]) for name in by_layer[0]}


def mean_cosine(rows: np.ndarray) -> float:
    """Mean cosine of two different rows of [n, D], n of 2 or more; a row of zeros has cosines 0."""
    units = unit(rows)
    n = len(units)
    return float((np.square(units.sum(0)).sum() - np.square(units).sum()) / (n * (n - 1)))


def _of_halves(
    rows: np.ndarray, task: Task, halves: Sequence[np.ndarray], solver: Solver
) -> dict[str, float]:
    """Scores of one layer's rows [n, D] over the draws of halves (bool [n])."""
    cosines, separations = [], []
    for half in halves:
        first, second = (
            solver.solve(rows[one], task.targets[one, None]).directions[0, 0]
            for one in (half, ~half)
        )
        cosines.append(cosine_matrix(np.stack([first, second]))[0, 1])
        separations += [
            d_prime(rows[other] @ direction, task.targets[other])
            for direction, other in ((first, ~half), (second, half))
        ]
    found = {"split_half_cosine": float(np.mean(cosines))}
    if task.metric is AUC:
        found["d_prime"] = float(np.mean(separations))
    return found


def _differences(
    rows: np.ndarray, targets: np.ndarray, groups: np.ndarray, pairs: np.ndarray
) -> np.ndarray:
    """Difference of the means of both labels in each of `pairs`, [pairs, D]."""
    sides = []
    for is_side in (targets > 0, targets < 0):
        member = np.equal.outer(pairs, groups[is_side]).astype(np.float64)  # [pairs, rows]
        sides.append(member @ rows[is_side] / member.sum(1, keepdims=True))
    return np.asarray(sides[0] - sides[1])
