"""Fit of a linear direction per layer, with held-out scores, a permutation null and stability.

The directions are fitted to all rows, at the regularisation that the validation parts chose; the
scores are those of the same procedure on groups that it did not see (tonearm/methods/evaluation.py).

Conventions: r is a unit direction with the sign of the data, and δ the difference of the class
means, or cov(x, y) of z-scored numbers y. The direction of the fit is v = |r·δ| r: strength 1 moves
the mean projection of the negative class onto that of the positive one; for numbers it moves the
projection as far as one standard deviation of y. For r along δ this is δ, so that lengths compare
with those of DiffMean.

Scores by layer: the metric (`auc` or `correlation`) and, for classes, balanced `accuracy` on test
parts; the metric on validation parts; those of consistency (tonearm/methods/consistency.py); the
regularisation.

Shapes: n rows; L layers; D width.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from tonearm.errors import TonearmError
from tonearm.methods.base import Activations, Fit, Needs, Rows
from tonearm.methods.consistency import consistency
from tonearm.methods.evaluation import PERMUTATIONS, HeldOut, evaluate, layers_of
from tonearm.methods.solver import Solver
from tonearm.methods.splits import MIN_GROUPS, can_hold_out
from tonearm.methods.task import AUC, Task, classes

SEED = 0  # of folds and permutations


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
        rows, labels, groups = testable_rows(activations, self.name)
        return fit_probe(rows, classes(labels), groups, self.solver, self.tester)


def testable_rows(activations: Activations, method: str) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Rows, labels and groups, of which some can be held out.

    Args:
        activations: with rows.
        method: name of the method, for the message.

    Raises:
        TonearmError: too few groups.
    """
    rows, labels, groups = activations.labelled_rows()
    if not can_hold_out(labels, groups):
        raise TonearmError(
            f"method {method} tests its directions on held-out examples and needs "
            f"{MIN_GROUPS} or more on each side, of which those of one prompt or track count as one; "
            "give more, or use method diffmean"
        )
    return rows, labels, groups


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
    check_contrast(rows, task)
    held_out = evaluate(
        rows, task, groups, solver, permutations=0 if tester else PERMUTATIONS, seed=SEED
    )
    null = evaluate(rows, task, groups, tester, seed=SEED).null if tester else held_out.null
    solvers = [solver.only(int(index)) for index in held_out.choice]
    solved = [
        one.solve(layer, task.targets[:, None])
        for one, layer in zip(solvers, layers_of(rows), strict=True)
    ]
    directions = [one.directions[0, 0] for one in solved]
    fit = fit_of(rows, task, groups, directions, solvers, replace(held_out, null=null))
    if not solver.regularisation:
        return fit
    chosen = np.array([one.regularisation[0, 0] for one in solved])
    return replace(fit, scores={**fit.scores, solver.regularisation: torch.from_numpy(chosen)})


def check_contrast(rows: Rows, task: Task) -> None:
    """Refuse rows [n, L, D] whose contrast is zero in all layers."""
    if not any(task.contrast(layer).any() for layer in layers_of(rows)):
        raise TonearmError(
            "the activations of both sides have the same mean, so there is no direction between "
            "them; give sets that differ"
        )


def fit_of(
    rows: Rows,
    task: Task,
    groups: np.ndarray,
    directions: Sequence[np.ndarray],
    solvers: Sequence[Solver],
    held_out: HeldOut,
) -> Fit:
    """Give directions their lengths and their scores.

    Args:
        rows: [n, L, D].
        task: targets of the rows.
        groups: of each row, int [n].
        directions: unit, of all rows, [D] for each layer.
        solvers: of each layer, with one regularisation, [L].
        held_out: scores of the same procedure, with its null.
    """
    scaled = [
        abs(one @ task.contrast(layer)) * one
        for one, layer in zip(directions, layers_of(rows), strict=True)
    ]
    metric = task.metric.name
    scores = {metric: held_out.test}
    if task.metric is AUC:
        scores["accuracy"] = held_out.accuracy
    scores[f"validation_{metric}"] = held_out.validation
    scores |= consistency(rows, task, groups, solvers)
    return Fit(
        directions=torch.tensor(np.array(scaled), dtype=torch.float32),
        best_layer=held_out.best_layer,
        scores={name: torch.from_numpy(values) for name, values in scores.items()},
        statistics={
            f"best_{metric}": held_out.best,
            f"null_{metric}": held_out.null_limit,
            "p_value": held_out.p_value,
        },
    )
