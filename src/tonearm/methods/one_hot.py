"""Directions of several classes: one against the rest, and one against one.

With the MSE probe, one against the rest gives the columns of a linear probe that is trained on
one-hot labels (Panda et al. 2025, IV-B): its least-squares solution has one column per class, and
each is the least-squares solution of that class's own labels.

Shapes: n rows; L layers; D width.
"""

from collections.abc import Sequence

import numpy as np
import torch

from tonearm.errors import TonearmError
from tonearm.methods.base import Activations, Fit, method_named
from tonearm.methods.inputs import check_names, check_rows
from tonearm.text import quoted


def fit_one_hot(
    rows: torch.Tensor,
    labels: Sequence[str | int],
    groups: Sequence[str | int],
    method: str = "lda",
) -> dict[str, Fit]:
    """Fit the direction from the rest to each class. A class may have none: Fit.has_direction.

    Args:
        rows: activations, [n, L, D].
        labels: class of each row, [n].
        groups: group of each row, such as its track, [n]; no split divides a group.
        method: a registered method, with its option (ridge:0.1).

    Returns:
        A fit for each class, in the order of the classes' names.

    Raises:
        TonearmError: labels or groups that do not match the rows, fewer than two classes, an
            unknown method, or a class of too few groups.
    """
    rows = check_rows(rows)
    classes, tracks = check_names(labels, "labels", rows), check_names(groups, "groups", rows)
    names = sorted(set(classes.tolist()))
    if len(names) < 2:
        raise TonearmError(f"all labels are {quoted(names[0])}; give rows of two or more classes")
    return {name: _fit(rows, classes == name, tracks, method) for name in names}


def fit_one_against_one(
    rows: torch.Tensor,
    labels: Sequence[str | int],
    groups: Sequence[str | int],
    positive: str | int,
    negative: str | int,
    method: str = "lda",
) -> Fit:
    """Fit the direction from one class to another; rows of other classes are left out.

    Args:
        rows: activations, [n, L, D].
        labels: class of each row, [n].
        groups: group of each row, [n].
        positive: class at the positive end.
        negative: class at the negative end.
        method: a registered method, with its option.

    Raises:
        TonearmError: as for `fit_one_hot`, or a class without rows.
    """
    rows = check_rows(rows)
    classes, tracks = check_names(labels, "labels", rows), check_names(groups, "groups", rows)
    ends = str(positive), str(negative)
    for end in ends:
        if end not in classes:
            known = ", ".join(sorted(set(classes.tolist())))
            raise TonearmError(f"no row has the label {quoted(end)}; use two of {known}")
    if ends[0] == ends[1]:
        raise TonearmError(f"positive and negative are both {quoted(ends[0])}; give two classes")
    used = np.isin(classes, ends)
    return _fit(rows[torch.from_numpy(used)], (classes == ends[0])[used], tracks[used], method)


def _fit(rows: torch.Tensor, is_positive: np.ndarray, tracks: np.ndarray, method: str) -> Fit:
    labels = torch.from_numpy(is_positive).long()
    groups = torch.from_numpy(np.unique(tracks, return_inverse=True)[1])
    return method_named(method).fit(Activations.from_rows(rows, labels, groups))
