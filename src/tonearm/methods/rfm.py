"""RFM: the leading axis of a kernel machine that learns its metric, with the sign of the data.

At every layer a recursive feature machine (tonearm/methods/kernel_machine.py) predicts the targets;
the direction is the leading eigenvector of its average gradient outer product (AGOP). It finds
concepts that no linear probe separates.

Search. 16 settings, each with ITERATIONS machines. In each of five rotations the validation part
chooses among the 80 machines by the held-out metric of the prediction; of equal ones it takes the
one whose prediction correlates most with the targets. The training part of this search is thinned
to SEARCH_ROWS rows; the chosen machine is then fitted to the whole training part, and the test part
reports the metric of the projection on its axis and that of its prediction. The directions are
fitted to all rows with the choice of the mean over the rotations.

Sign: that of the correlation of projections and targets. An even concept (a label that depends on
the distance from a middle) has an axis whose ends mean the same: its prediction is above chance and
its projection is not. Such a fit has no direction (Fit.has_axis_only), and its axes are in
Fit.extra.

Lengths: v = |r·δ| r, as of all methods, so that the sum of the lengths over the layers compares with
that of DiffMean. `rfm:weighted` divides the same sum over the layers by `layer_weights`.

    extra["axes"]         the four leading eigenvectors, float32 [L, 4, D]; zero where there are fewer
    extra["axis_shares"]  their shares of the AGOP's trace, float64 [L, 4]
    scores                `predictor_auc` (or `predictor_correlation`), `bandwidth`, `ridge`,
                          `iteration`, beside those of all probes
    statistics            axis_p_value, the chance of the prediction's score; `rows`, where there
                          were more than MAX_ROWS and a part was drawn, equally of the labels

The permutation null is that of LDA, which costs far less: under permuted targets the held-out score
of any predictor is that of a guess.

Limits: at most MAX_ROWS rows; MAX_ROWS^2 distances take 32 MB, and there are four such matrices.

Shapes: n rows; L layers; D width; K rotations; S settings; T iterations; r principal axes.

Source: Zhao et al. 2025 (MusicRFM; github.com/astradzhao/music-rfm), whose search draws 100 settings
per layer with a bandwidth in raw units; Radhakrishnan et al. 2024 (RFM).
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from tonearm.errors import TonearmError
from tonearm.methods.base import Activations, Fit, Method, Needs, Rows, register
from tonearm.methods.changed_rows import ChangedRows
from tonearm.methods.evaluation import chance_of, evaluate, layers_of, summarise
from tonearm.methods.layer_weights import with_layer_weights
from tonearm.methods.probe import SEED, fit_of, testable_rows
from tonearm.methods.rfm_search import (
    RFMSolver,
    chosen,
    drawn,
    fit_predictor,
    nested_score,
    score_rotation,
)
from tonearm.methods.ridge import RidgeSolver
from tonearm.methods.splits import FOLDS, grouped_folds, rotations
from tonearm.methods.task import Task, classes
from tonearm.text import quoted

MAX_ROWS = 2000
WEIGHTED = "weighted"

_log = logging.getLogger(__name__)


class RFM:
    """Leading axis of a recursive feature machine.

    weighted  lengths follow the layer weights of MusicRFM
    """

    option: ClassVar[str] = WEIGHTED
    needs: ClassVar[Needs] = "rows"

    def __init__(self, weighted: bool = False):
        self.name = f"rfm:{WEIGHTED}" if weighted else "rfm"
        self._weighted = weighted

    def with_option(self, text: str) -> Method:
        """Return the method with weighted lengths. Raises TonearmError for another text."""
        if text != WEIGHTED:
            raise TonearmError(
                f"method rfm has no option {quoted(text)}; use rfm or rfm:{WEIGHTED}"
            )
        return RFM(weighted=True)

    def fit(self, activations: Activations) -> Fit:
        """Fit directions [L, D]. Raises TonearmError for too few groups or equal activations."""
        rows, labels, groups = testable_rows(activations, self.name)
        fit = fit_rfm(rows, classes(labels), groups)
        return with_layer_weights(fit, fit.scores["validation_auc"]) if self._weighted else fit


@threadpool_limits.wrap(limits=1, user_api="blas")  # its products are small; threads slow them
def fit_rfm(rows: Rows, task: Task, groups: np.ndarray) -> Fit:
    """Fit the leading axis of a recursive feature machine at every layer.

    Args:
        rows: [n, L, D]; of more than MAX_ROWS a part is drawn.
        task: targets of the rows.
        groups: of each row, int [n].

    Raises:
        TonearmError: rows that do not differ, or groups that cannot be divided into folds.
    """
    if not any(np.ptp(layer, axis=0).any() for layer in layers_of(rows)):
        raise TonearmError(
            "all rows have the same activations, so there is no direction; give sets that differ"
        )
    total = rows.shape[0]
    if total > MAX_ROWS:
        part = drawn(task.strata, MAX_ROWS)
        index = torch.from_numpy(part)
        rows = ChangedRows(rows, lambda layer: layer[index], len(part))
        task, groups = task.part(part), groups[part]
        _log.warning("method rfm is fitted to %d of %d rows, its limit", MAX_ROWS, total)
    splits = rotations(grouped_folds(task.strata, groups, FOLDS, SEED))
    found = [[score_rotation(layer, task, split) for split in splits] for layer in layers_of(rows)]
    null = evaluate(rows, task, groups, RidgeSolver((None,)), seed=SEED).null
    held_out = replace(summarise([[one.part for one in of] for of in found]), null=null)
    choices = [chosen([one.search for one in of]) for of in found]
    axes = [
        fit_predictor(layer, task.targets, choice).leading_axes(task.targets)
        for layer, choice in zip(layers_of(rows), choices, strict=True)
    ]
    directions, solvers = [one.directions[0] for one in axes], [RFMSolver(one) for one in choices]
    fit = fit_of(rows, task, groups, directions, solvers, held_out)
    predicted = np.array([[one.predicted for one in of] for of in found])  # on test parts, [L, K]
    metric = task.metric.name
    scores = {
        f"predictor_{metric}": predicted.mean(1),
        "bandwidth": [one.setting.bandwidth for one in choices],
        "ridge": [one.setting.ridge for one in choices],
        "iteration": [one.iteration for one in choices],
    }
    statistics = {
        **fit.statistics,
        f"best_predictor_{metric}": nested_score(found, predicted),
        "axis_p_value": chance_of(predicted.mean(1).max(), null),
    }
    if total > MAX_ROWS:
        statistics["rows"] = MAX_ROWS
    return replace(
        fit,
        scores={**fit.scores, **{name: _tensor(values) for name, values in scores.items()}},
        extra={
            "axes": _tensor([one.directions for one in axes]).float(),
            "axis_shares": _tensor([one.shares for one in axes]),
        },
        statistics=statistics,
    )


def _tensor(values: Sequence[float] | Sequence[np.ndarray] | np.ndarray) -> torch.Tensor:
    return torch.tensor(np.array(values), dtype=torch.float64)


register(RFM())
