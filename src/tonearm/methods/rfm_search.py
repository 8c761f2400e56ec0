"""Choice of a recursive feature machine on validation parts, and its scores on test parts.

The search tries 16 settings with ITERATIONS machines each. The metric of the validation part is that
of the prediction; of equal machines the one whose prediction correlates most with the targets is
taken. The search fits SEARCH_ROWS rows at most, and the chosen machine all rows of the training part.

Shapes: n rows; m rows of a part; L layers; D width; K rotations; C choices; r principal axes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.linalg import eigh

from tonearm.methods.evaluation import DECIMALS, PartScores, best_index, score_part
from tonearm.methods.kernel_machine import KernelMachine, Setting, iterations
from tonearm.methods.metrics import correlation
from tonearm.methods.principal_axes import PrincipalAxes, principal_axes
from tonearm.methods.solver import Solved, Solver
from tonearm.methods.splits import Split
from tonearm.methods.task import Task

BANDWIDTHS = (0.5, 1.0, 2.0, 4.0)  # in median distances
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)
SETTINGS = tuple(Setting(*pair) for pair in product(BANDWIDTHS, RIDGES))
ITERATIONS = 5
AXES = 4
SEARCH_ROWS = 150
SEED = 0  # of the rows of a search


@dataclass(frozen=True)
class Choice:
    """Machine of the search: its setting, and its iteration from 0."""

    setting: Setting
    iteration: int


CHOICES = tuple(Choice(one, t) for one in SETTINGS for t in range(ITERATIONS))


@dataclass(frozen=True)
class Axes:
    """Leading eigenvectors of an AGOP.

    directions  unit, with the sign of the data, float64 [AXES, D]; zero where there are fewer
    shares      of the trace, float64 [AXES]
    """

    directions: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True)
class Predictor:
    """Machine of training rows, for rows of the model's width.

    mean     of the training rows, float64 [D]
    axes     of the training rows
    machine  in these axes; None for rows that do not differ
    """

    mean: np.ndarray
    axes: PrincipalAxes
    machine: KernelMachine | None

    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Predict the targets of rows [m, D] up to a constant, float64 [m]."""
        if self.machine is None:
            return np.zeros(len(rows))
        return self.machine.predict((rows - self.mean) @ self.axes.directions)

    def leading_axes(self, targets: np.ndarray) -> Axes:
        """Leading axes, with the sign of their correlation with the training targets [n]."""
        directions, shares = np.zeros((AXES, len(self.mean))), np.zeros(AXES)
        if self.machine is not None:
            gradients = self.machine.gradients()
            agop = gradients.T @ gradients
            kept = min(AXES, len(agop))
            values, vectors = eigh(agop, subset_by_index=(len(agop) - kept, len(agop) - 1))
            vectors, values = vectors[:, ::-1], np.maximum(values[::-1], 0)
            agreement = (targets - targets.mean()) @ (self.axes.coordinates @ vectors)  # [kept]
            directions[:kept] = (self.axes.directions @ vectors * np.where(agreement < 0, -1, 1)).T
            shares[:kept] = values / agop.trace() if agop.trace() else 0.0
        return Axes(directions, shares)


def fit_predictor(rows: np.ndarray, targets: np.ndarray, choice: Choice) -> Predictor:
    """Fit one machine to rows [n, D] and targets [n]."""
    axes = principal_axes(rows)
    count = choice.iteration + 1
    *_, last = None, *iterations(axes.coordinates, targets, choice.setting, count)
    return Predictor(rows.mean(0), axes, last)


@dataclass(frozen=True)
class RFMSolver:
    """Solver: leading axis of one machine."""

    choice: Choice

    @property
    def regularisation(self) -> None:
        return None

    def solve(self, rows: np.ndarray, targets: np.ndarray) -> Solved:
        """Fit directions from rows [n, D] to targets [n, P]."""
        found = [
            fit_predictor(rows, one, self.choice).leading_axes(one).directions[0]
            for one in targets.T
        ]
        return Solved(np.stack(found)[None], np.zeros((1, targets.shape[1])))

    def only(self, index: int) -> Solver:
        return self


@dataclass(frozen=True)
class Search:
    """Machines of CHOICES on a validation part.

    metric       of their predictions and the targets, float64 [S T]; -1 for a machine that is none
    correlation  likewise
    """

    metric: np.ndarray
    correlation: np.ndarray

    @property
    def best(self) -> int:
        return best_index(self.metric, self.correlation)


@dataclass(frozen=True)
class Rotation:
    """Scores of one layer in one rotation.

    search     on the validation part
    predicted  metric of the chosen machine's prediction on the test part
    part       scores of the projection on its leading axis
    """

    search: Search
    predicted: float
    part: PartScores


def score_rotation(rows: np.ndarray, task: Task, split: Split) -> Rotation:
    """Choose a machine on the validation part, and score it on the test part."""
    train = np.flatnonzero(split.train)
    searched = train[drawn(task.strata[train], SEARCH_ROWS)]
    search = search_machines(rows, task, searched, split.validation)
    predictor = fit_predictor(rows[train], task.targets[train], CHOICES[search.best])
    direction = predictor.leading_axes(task.targets[train]).directions[0]
    prediction = predictor.predict(rows[split.test])
    return Rotation(
        search,
        float(task.metric.score(prediction[None], task.targets[None, split.test])[0]),
        score_part(direction[None, None], rows, task.targets[:, None], split, task.metric),
    )


def search_machines(
    rows: np.ndarray, task: Task, train: np.ndarray, validation: np.ndarray
) -> Search:
    """Score all machines.

    Args:
        rows: of a layer, [n, D].
        task: targets of the rows.
        train: indices of the rows to fit.
        validation: bool [n].
    """
    axes = principal_axes(rows[train])
    coordinates = (rows[validation] - rows[train].mean(0)) @ axes.directions
    targets = task.targets[None, validation]
    metric, agreement = -np.ones(len(CHOICES)), -np.ones(len(CHOICES))
    for s, setting in enumerate(SETTINGS):
        machines = iterations(axes.coordinates, task.targets[train], setting, ITERATIONS)
        for place, machine in enumerate(machines, ITERATIONS * s):
            prediction = machine.predict(coordinates)[None]
            metric[place] = task.metric.score(prediction, targets)[0].round(DECIMALS)
            agreement[place] = correlation(prediction, targets)[0]
    return Search(metric, agreement)


def chosen(searches: Sequence[Search]) -> Choice:
    """Choice with the best mean over the rotations."""
    metric = np.mean([one.metric for one in searches], axis=0).round(DECIMALS)
    return CHOICES[best_index(metric, np.mean([one.correlation for one in searches], axis=0))]


def nested_score(found: Sequence[Sequence[Rotation]], predicted: np.ndarray) -> float:
    """Mean over rotations of the prediction's test metric [L, K] at the layer of the best search."""
    scores = []
    for k in range(predicted.shape[1]):
        searches = [of[k].search for of in found]
        metric, agreement = (
            np.array([getattr(one, name)[one.best] for one in searches])
            for name in ("metric", "correlation")
        )
        scores.append(predicted[best_index(metric, agreement), k])
    return float(np.mean(scores))


def drawn(strata: np.ndarray, most: int) -> np.ndarray:
    """Indices of `most` rows at most, as equal in number for all strata as can be."""
    order = np.random.default_rng(SEED).permutation(len(strata))
    rank = np.zeros(len(strata), dtype=np.int64)  # among the rows of a stratum
    for stratum in np.unique(strata):
        members = order[strata[order] == stratum]
        rank[members] = np.arange(len(members))
    return np.sort(np.argsort(rank, kind="stable")[:most])
