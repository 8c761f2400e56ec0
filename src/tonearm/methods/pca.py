"""Uncentred principal component of differences between positive and negative rows.

    M = mean of d d^T over differences d = x+ - x-;    direction = leading eigenvector of M

The mean of the differences is not subtracted: it is the concept, and a centred PCA of differences
returns the largest nuisance instead.

Differences. Where every group is a pair of a positive and a negative row (two prompts of one scene),
the differences are those of the pairs: each row is centred on the midpoint of its pair, and the
uncentred principal component of the rows is that of the differences. The held-out scores are then
those of centred rows too. Elsewhere every positive row is paired with every negative one, which
depends on no order and no draw:

    M = δδ^T + 2 Sw = 2 St + (1 - 2 π (1 - π)) δδ^T

with the difference of the class means δ, the covariance within the classes Sw, that of all rows St,
and the share π of positive rows. A nuisance wins where its variance within the classes is above
|δ|²/2 plus that along δ; pairs of one scene cancel the part of it that they share.

Sign: that of the majority of pairs; without pairs, r·δ > 0.

Scores: `variance_share`, the share of the leading eigenvalue in tr M. A flat spectrum has no single
direction: the share of the best layer is compared with its shares by chance, 200 draws of M with
labels permuted by group. For pairs, whose M does not depend on their labels, they are those of
differences of the same lengths in random directions. p_value is the larger one of this comparison
and of the held-out score's.

Shapes: n rows; D width; r principal axes; P targets.

Source: Zou et al. 2023 (principal component of differences with random signs); Horn 1965 (shares of
variance by chance).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from scipy.linalg import eigh

from tonearm.methods.base import Activations, Fit, Needs, Rows, register
from tonearm.methods.changed_rows import ChangedRows
from tonearm.methods.diffmean import MeanDifference
from tonearm.methods.evaluation import NULL_LEVEL, PERMUTATIONS, chance_of, layers_of
from tonearm.methods.principal_axes import PrincipalAxes, principal_axes
from tonearm.methods.probe import fit_probe, testable_rows
from tonearm.methods.solver import Solved, Solver, unit
from tonearm.methods.task import Task, classes

SEED = 0  # of the draws of the null of the share of variance


@dataclass(frozen=True)
class DifferencesSolver:
    """Solver: leading principal component of differences.

    paired  the rows are centred on the midpoints of their pairs
    """

    paired: bool

    @property
    def regularisation(self) -> None:
        return None

    def solve(self, rows: np.ndarray, targets: np.ndarray) -> Solved:
        """Fit directions from rows [n, D] to targets +1 and -1, [n, P]."""
        axes = principal_axes(rows)
        found = [principal_difference(axes, one, self.paired).direction for one in targets.T]
        return Solved(np.stack(found)[None], np.zeros((1, targets.shape[1])))

    def only(self, index: int) -> Solver:
        return self


@dataclass(frozen=True)
class PrincipalDifference:
    """Leading uncentred principal component of differences.

    direction  unit, float64 [D]; zero for rows without variance
    share      of the sum of the eigenvalues, 0 for rows without variance
    """

    direction: np.ndarray
    share: float


def principal_difference(
    axes: PrincipalAxes, targets: np.ndarray, paired: bool
) -> PrincipalDifference:
    """Compute the leading uncentred principal component of differences.

    Args:
        axes: of the rows; of pairs, of rows that are centred on their midpoints.
        targets: +1 and -1, [n].
        paired: whether the differences are those of pairs; else of all positive and negative rows.
    """
    if not len(axes.variances):
        return PrincipalDifference(np.zeros(len(axes.directions)), 0.0)
    if paired:
        top = axes.variances.argmax()
        agreement = np.sign(axes.coordinates[:, top]) @ targets
        share = axes.variances[top] / axes.variances.sum()
        return PrincipalDifference(_signed(axes.directions[:, top], agreement), float(share))
    moment, delta = _second_moment(axes, targets)
    last = len(moment) - 1
    value, vector = eigh(moment, subset_by_index=(last, last))
    direction = _signed(axes.directions @ vector[:, 0], delta @ vector[:, 0])
    return PrincipalDifference(direction, float(value[0] / moment.trace()))


def _second_moment(axes: PrincipalAxes, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M / 2 of all differences of a positive and a negative row, and δ, in the axes.

    Args:
        axes: of the rows.
        targets: +1 and -1, [n].

    Returns:
        float64 [r, r] and [r].
    """
    centred = targets - targets.mean()
    delta = 2 * axes.coordinates.T @ centred / np.square(centred).sum()
    positive = (targets > 0).mean()
    moment = (0.5 - positive * (1 - positive)) * np.outer(delta, delta)
    moment[np.diag_indices_from(moment)] += axes.variances
    return moment, delta


def _signed(direction: np.ndarray, agreement: float) -> np.ndarray:
    return direction if agreement >= 0 else -direction


class PCA:
    """Leading uncentred principal component of differences."""

    name: ClassVar[str] = "pca"
    needs: ClassVar[Needs] = "rows"

    def fit(self, activations: Activations) -> Fit:
        """Fit directions [L, D]. Raises TonearmError for too few groups or equal activations."""
        rows, labels, groups = testable_rows(activations, self.name)
        task, paired = classes(labels), are_pairs(labels, groups)
        if paired:
            rows = centred_on_pairs(rows, groups)
        fit = fit_probe(rows, task, groups, DifferencesSolver(paired), MeanDifference())
        assert fit.best_layer is not None
        shares = [
            principal_difference(principal_axes(one), task.targets, paired).share
            for one in layers_of(rows)
        ]
        best = rows[:, fit.best_layer].double().numpy()
        null = _null_shares(best, task, groups, paired)
        share = shares[fit.best_layer]
        p_value = max(fit.statistics["p_value"], chance_of(share, null))
        return replace(
            fit,
            scores={**fit.scores, "variance_share": torch.tensor(shares, dtype=torch.float64)},
            statistics={
                **fit.statistics,
                "best_variance_share": share,
                "null_variance_share": float(np.quantile(null, NULL_LEVEL)),
                "p_value": p_value,
            },
        )


def are_pairs(labels: np.ndarray, groups: np.ndarray) -> bool:
    """Whether every group holds one row of label 1 and one of label 0."""
    below, above = (np.sort(groups[labels == label]) for label in (0, 1))
    return np.array_equal(below, above) and len(np.unique(below)) == len(below)


def centred_on_pairs(rows: Rows, groups: np.ndarray) -> ChangedRows:
    """Rows [n, L, D] of pairs minus the midpoint of their pair."""
    order = torch.from_numpy(np.argsort(groups, kind="stable")).view(-1, 2)  # rows of each pair

    def centred(layer: torch.Tensor) -> torch.Tensor:
        found = layer.to(torch.float64, copy=True)
        found[order] = found[order] - found[order].mean(1, keepdim=True)
        return found

    return ChangedRows(rows, centred, len(groups))


def _null_shares(rows: np.ndarray, task: Task, groups: np.ndarray, paired: bool) -> np.ndarray:
    """Shares of variance of one layer's rows [n, D] by chance, [PERMUTATIONS]."""
    if not np.ptp(rows, axis=0).any():
        return np.zeros(PERMUTATIONS)
    moments: Iterable[np.ndarray]
    if paired:
        halves = rows[task.targets > 0]  # a half of each difference
        lengths = np.linalg.norm(halves, axis=1, keepdims=True)
        rng = np.random.default_rng(SEED)
        drawn = (lengths * unit(rng.normal(size=halves.shape)) for _ in range(PERMUTATIONS))
        wide = len(halves) < halves.shape[1]
        moments = (one @ one.T if wide else one.T @ one for one in drawn)
    else:
        axes, one_fold = principal_axes(rows), np.zeros(len(rows), dtype=np.int64)
        targets = task.permuted(groups, one_fold, PERMUTATIONS, SEED)
        moments = (_second_moment(axes, one)[0] for one in targets.T)
    return np.array([_top_share(moment) for moment in moments])


def _top_share(moment: np.ndarray) -> float:
    """Largest eigenvalue of a symmetric matrix over its trace."""
    last = len(moment) - 1
    return float(eigh(moment, eigvals_only=True, subset_by_index=(last, last))[0] / moment.trace())


register(PCA())
