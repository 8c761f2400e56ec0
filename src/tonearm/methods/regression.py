"""Direction of a continuous attribute, such as BPM or spectral centroid, by ridge regression or RFM.

    v(λ) = (Sw + λ t I)^-1 cov(x, y),    y z-scored,    t = tr(Sw) / D

Conventions: strength 1 moves the projection as far as one standard deviation of y. λ = MAX_LAMBDA
is the covariance vector, the DiffMean of numbers (tonearm/methods/ridge.py). RFM is that of
tonearm/methods/rfm.py.

Shapes: n rows; L layers; D width.
"""

from collections.abc import Sequence

import numpy as np
import torch

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.methods.base import Fit
from tonearm.methods.inputs import check_names, check_numbers, check_rows
from tonearm.methods.probe import fit_probe
from tonearm.methods.rfm import fit_rfm
from tonearm.methods.ridge import RidgeSolver, check_lambda
from tonearm.methods.splits import FOLDS
from tonearm.methods.task import numbers
from tonearm.text import quoted

METHODS = ("ridge", "rfm")
MIN_NUMBER_GROUPS = 3 * FOLDS  # a correlation needs three points in each part


def fit_regression(
    rows: torch.Tensor,
    y: Sequence[float],
    groups: Sequence[str | int],
    lam: float | None = None,
    method: str = "ridge",
) -> Fit:
    """Fit the direction along which a number grows, at every layer.

    Args:
        rows: activations, [n, L, D].
        y: the number of each row, [n].
        groups: group of each row, such as its track or its pair of BPM and kit, [n]; no split
            divides a group.
        lam: λ in units of tr(Sw) / D, from 0 (least squares) to MAX_LAMBDA (covariance vector);
            default: Ledoit & Wolf's shrinkage. Of method ridge alone.
        method: ridge or rfm.

    Returns:
        A fit whose scores are `correlation` on held-out groups, `validation_correlation`,
        `split_half_cosine` and those of the method, such as `lambda`; whether there is a direction:
        Fit.has_direction.

    Raises:
        TonearmError: numbers or groups that do not match the rows, constant numbers, too few
            groups, another method, or a λ that is not possible.
    """
    rows = check_rows(rows)
    values, tracks = check_numbers(y, "y", rows), check_names(groups, "groups", rows)
    lam = boundary.optional(boundary.number, lam, "lam")
    if boundary.text(method, "method") not in METHODS:
        raise TonearmError(
            f"method {quoted(method)} fits no numbers; use one of {', '.join(METHODS)}"
        )
    if method == "rfm" and lam is not None:
        raise TonearmError(f"lam {lam:g} belongs to method ridge; omit it")
    solver = RidgeSolver((lam if lam is None else check_lambda(lam),))
    if not np.ptp(values):
        raise TonearmError(f"y is {values[0]:g} in all rows; give numbers that differ")
    count = len(set(tracks.tolist()))
    if count < MIN_NUMBER_GROUPS:
        raise TonearmError(
            f"{count} groups are too few to hold some out; give rows of {MIN_NUMBER_GROUPS} or more"
        )
    task, index = numbers(values), np.unique(tracks, return_inverse=True)[1]
    return fit_rfm(rows, task, index) if method == "rfm" else fit_probe(rows, task, index, solver)
