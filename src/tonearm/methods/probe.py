"""Fit of a linear direction per layer, with held-out scores, a permutation null and stability.

The directions are fitted to all rows, at the regularisation that the validation parts chose; the
scores are those of the same procedure on groups that it did not see (tonearm/methods/evaluation.py).

Conventions: r is a unit direction with r·δ >= 0, where δ is the difference of the class means, or
cov(x, y) of z-scored numbers y. The direction of the fit is v = (r·δ) r: strength 1 moves the mean
projection of the negative class onto that of the positive one; for numbers it moves the projection
as far as one standard deviation of y. For r along δ this is δ, so that lengths compare with those
of DiffMean.

Scores by layer: the metric (`auc` or `correlation`) and, for classes, balanced `accuracy` on test
parts; the metric on validation parts; the regularisation; `split_half_cosine`, the mean cosine of
the directions of random halves of the groups.

Shapes: n rows; L layers; D width.
"""

from typing import Any, ClassVar

import numpy as np
import torch

from tonearm.analysis.similarity import half_cosines
from tonearm.errors import TonearmError
from tonearm.methods.base import Activations, Fit, Needs, Rows
from tonearm.methods.evaluation import PERMUTATIONS, evaluate, layers_of
from tonearm.methods.solver import Solver
from tonearm.methods.splits import MIN_GROUPS, can_hold_out, grouped_folds
from tonearm.methods.task import AUC, Task, classes

HALVES = 10  # draws of halves
SEED = 0  # of folds, permutations and halves


class LinearProbe:
    """Method that fits rows by a solver.

    solver  of the directions
    tester  cheap solver for the permutation null; None where `solver` is cheap
    """

    name: str
    needs: ClassVar[Needs] = "rows"
    solver: Solver
    tester: Solver | None = None

    def fit(self, activations: Activations) -> Fit:
        """Fit directions [L, D]. Raises TonearmError for too few groups or equal activations."""
        rows, labels, groups = activations.labelled_rows()
        if not can_hold_out(labels, groups):
            raise TonearmError(
                f"method {self.name} tests its directions on held-out examples and needs "
                f"{MIN_GROUPS} or more on each side; give more, or use method diffmean"
            )
        return fit_probe(rows, classes(labels), groups, self.solver, self.tester)


def fit_probe(
    rows: Rows,
    task: Task,
    groups: np.ndarray,
    solver: Solver,
    tester: Solver | None = None,
) -> Fit:
    """Fit a direction at every layer.

    Args:
        rows: [n, L, D].
        task: targets of the rows.
        groups: of each row, int [n].
        solver: of the directions.
        tester: cheap solver for the permutation null; default: `solver`.

    Raises:
        TonearmError: rows without any linear dependence on the targets.
    """
    contrasts = np.array([task.contrast(layer) for layer in layers_of(rows)])  # δ, [L, D]
    if not contrasts.any():
        raise TonearmError(
            "the activations of both sides have the same mean, so there is no direction between "
            "them; give sets that differ"
        )
    held_out = evaluate(
        rows, task, groups, solver, permutations=0 if tester else PERMUTATIONS, seed=SEED
    )
    tested = evaluate(rows, task, groups, tester, seed=SEED) if tester else held_out
    halves = [grouped_folds(task.strata, groups, 2, SEED + draw) == 0 for draw in range(HALVES)]
    directions, regularisation, stability = [], [], []
    for layer, index, contrast in zip(layers_of(rows), held_out.choice, contrasts, strict=True):
        chosen = solver.only(int(index))
        solved = chosen.solve(layer, task.targets[:, None])
        found = solved.directions[0, 0]
        directions.append((found @ contrast) * found)
        regularisation.append(solved.regularisation[0, 0])
        stability.append(_stability(layer, task.targets, halves, chosen))
    metric = task.metric.name
    scores: dict[str, Any] = {metric: held_out.test}
    if task.metric is AUC:
        scores["accuracy"] = held_out.accuracy
    scores |= {f"validation_{metric}": held_out.validation, "split_half_cosine": stability}
    if solver.regularisation:
        scores[solver.regularisation] = regularisation
    return Fit(
        directions=torch.tensor(np.array(directions), dtype=torch.float32),
        best_layer=held_out.best_layer,
        scores={name: torch.tensor(values, dtype=torch.float64) for name, values in scores.items()},
        statistics={
            f"best_{metric}": held_out.best,
            f"null_{metric}": tested.null_limit,
            "p_value": tested.p_value,
        },
    )


def _stability(
    rows: np.ndarray, targets: np.ndarray, halves: list[np.ndarray], solver: Solver
) -> float:
    """Mean cosine of the directions of two halves of the rows, over draws of halves."""

    def direction(half: np.ndarray) -> np.ndarray:
        return solver.solve(rows[half], targets[half, None]).directions[0, 0]

    return float(half_cosines(halves, direction).mean())
