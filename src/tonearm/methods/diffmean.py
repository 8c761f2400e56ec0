"""DiffMean: the difference between the mean activations of two contrasting sets.

    v_l = mean over S+ of h_l(x)  -  mean over S- of h_l(x)          (Facchiano et al. 2025, eq. 1; Belrose 2024)

The length is kept: strength 1 moves the mean of S- onto the mean of S+. Each layer's `separation`,

    |v_l| / sqrt((tr V+ + tr V-) / 2),

is the distance of the two means in units of the spread within the sets (V: their covariances). The
layer with the largest one is the best layer until a scan of effects on generated music names
another. On pocket that is mostly layer 0, little more than the text embedding; rules that avoid it
were measured and did not steer better for their cost (docs/concepts.md).

Where the activations hold rows of enough groups, the fit has the scores of consistency too
(tonearm/methods/consistency.py). Where the rows may also be held out, it has the held-out scores
and the permutation null of the other methods, and the best layer is that of the best score on
validation parts (tonearm/methods/probe.py).
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from tonearm.activations.moments import RunningMoments
from tonearm.errors import TonearmError
from tonearm.methods.base import Activations, Fit, Needs, register
from tonearm.methods.consistency import consistency
from tonearm.methods.probe import fit_probe
from tonearm.methods.solver import Solved, Solver, unit
from tonearm.methods.splits import MIN_HALVED, can_hold_out
from tonearm.methods.task import classes


@dataclass(frozen=True)
class MeanDifference:
    """Solver: unit difference of the class means, or cov(x, y) of numbers."""

    @property
    def regularisation(self) -> None:
        return None

    def solve(self, rows: np.ndarray, targets: np.ndarray) -> Solved:
        """Fit directions from rows [n, D] to targets [n, P]."""
        covariance = (targets - targets.mean(0)).T @ (rows - rows.mean(0))
        return Solved(unit(covariance)[None], np.zeros((1, targets.shape[1])))

    def only(self, index: int) -> Solver:
        return self


class DiffMean:
    """Difference of means, from moments."""

    name: ClassVar[str] = "diffmean"
    needs: ClassVar[Needs] = "moments"

    def fit(self, activations: Activations) -> Fit:
        """Fit directions [L, D]. Raises TonearmError for two sets with the same activations."""
        positive, negative = activations.positive, activations.negative
        directions = diffmean(positive, negative)
        scores = separation(positive, negative)
        ranking = scores if scores.any() else directions.norm(dim=-1)
        fit = Fit(directions, int(ranking.argmax()), {"separation": scores})
        if activations.rows is None:
            return fit
        rows, labels, groups = activations.labelled_rows()
        task, solver = classes(labels), MeanDifference()
        if activations.hold_out and can_hold_out(labels, groups):
            tested = fit_probe(rows, task, groups, solver)
            return replace(tested, directions=directions, scores={**fit.scores, **tested.scores})
        if not can_hold_out(labels, groups, MIN_HALVED):
            return fit
        found = consistency(rows, task, groups, [solver] * len(directions))
        added = {name: torch.from_numpy(values) for name, values in found.items()}
        return replace(fit, scores={**fit.scores, **added})


def diffmean(positive: RunningMoments, negative: RunningMoments) -> torch.Tensor:
    """Difference of the means of [L, D] rows, float32 [L, D]."""
    difference = (positive.mean - negative.mean).float()
    if not difference.any():
        raise TonearmError(
            "the two sets give the same activations, so there is no direction between them; "
            "give sets that differ"
        )
    return difference


def separation(positive: RunningMoments, negative: RunningMoments) -> torch.Tensor:
    """Separation per layer, float64 [L]; 0 if a set of one row has no spread."""
    spread = (positive.variance.sum(-1) + negative.variance.sum(-1)) / 2
    distance = (positive.mean - negative.mean).norm(dim=-1)
    return torch.where(spread > 0, distance / spread.sqrt().clamp(min=1e-12), 0.0)


register(DiffMean())
