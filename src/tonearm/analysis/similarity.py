"""Similarity of directions: cosines between layers, blocks of similar layers, and stability.

Source: Facchiano et al. 2025, fig. 6, where blocks are seen in the matrix; here they are found by
clustering, with the number of blocks by the silhouette.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import silhouette_score

from tonearm.errors import TonearmError

EPS = 1e-12


@dataclass(frozen=True)
class Blocks:
    """Clusters of directions in order, such as those of a model's layers.

    labels      of each direction, numbered from 0 in the order of their first member
    silhouette  mean over directions, -1 .. 1
    contiguous  whether each cluster is one run of neighbours
    within      mean cosine of two directions of one cluster; NaN where there are none
    between     mean cosine of two directions of different clusters
    """

    labels: tuple[int, ...]
    silhouette: float
    contiguous: bool
    within: float
    between: float


def cosine_matrix(rows: np.ndarray) -> np.ndarray:
    """Cosines between rows [n, D], float64 [n, n]; 0 with a row of zeros."""
    rows = np.asarray(rows, dtype=np.float64)
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), EPS)
    return np.clip(unit @ unit.T, -1, 1)


def find_blocks(cosines: np.ndarray, most: int = 6) -> Blocks:
    """Cluster directions by average linkage on 1 - cosine.

    Args:
        cosines: between directions, [n, n], n of 3 or more.
        most: clusters; the number from 2 to this one with the best silhouette is taken.

    Raises:
        TonearmError: fewer than 3 directions, or directions that are all equal.
    """
    n = len(cosines)
    if n < 3:
        raise TonearmError(f"{n} directions have no blocks; give 3 or more")
    distances = np.maximum(1 - cosines, 0)
    np.fill_diagonal(distances, 0)
    tree = linkage(squareform(distances, checks=False), "average")
    tried = {}
    for count in range(2, min(most, n - 1) + 1):
        labels = fcluster(tree, count, "maxclust")
        if len(set(labels)) == count:
            tried[count] = (silhouette_score(distances, labels, metric="precomputed"), labels)
    if not tried:
        raise TonearmError(f"the {n} directions are equal, so that they have no blocks")
    score, labels = max(tried.values(), key=lambda found: found[0])
    order = {label: i for i, label in enumerate(dict.fromkeys(labels.tolist()))}
    ordered = tuple(order[label] for label in labels.tolist())
    same = np.equal.outer(ordered, ordered)
    apart = ~np.eye(n, dtype=bool)
    changes = sum(a != b for a, b in pairwise(ordered))
    return Blocks(
        labels=ordered,
        silhouette=float(score),
        contiguous=changes == len(order) - 1,
        within=_mean(cosines[same & apart]),
        between=_mean(cosines[~same]),
    )


def split_half_cosines(
    positive: np.ndarray, negative: np.ndarray, draws: int, seed: int
) -> np.ndarray:
    """Cosines between DiffMean directions of random halves of the prompts.

    Args:
        positive: activations [n, D], n of 2 or more.
        negative: likewise.
        draws: of halves.
        seed: of the draws.

    Returns:
        float64 [draws].
    """
    if min(len(positive), len(negative)) < 2:
        raise TonearmError("a direction of one prompt has no halves; give 2 or more of each side")
    rng = np.random.default_rng(seed)
    rows = np.concatenate([positive, negative])
    is_positive = np.arange(len(rows)) < len(positive)
    halves = np.zeros((draws, len(rows)), dtype=bool)
    for half in halves:
        for side in (True, False):
            members = rng.permutation(np.flatnonzero(is_positive == side))
            half[np.array_split(members, 2)[0]] = True
    return _half_cosines(
        halves, lambda half: rows[half & is_positive].mean(0) - rows[half & ~is_positive].mean(0)
    )


def _half_cosines(
    halves: Sequence[np.ndarray] | np.ndarray, direction: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Cosines between the directions of two halves of the rows.

    Args:
        halves: bool [draws, n], the rows of the first half; the others are the second.
        direction: rows (bool [n]) -> direction [D].

    Returns:
        float64 [draws].
    """
    return np.array(
        [cosine_matrix(np.stack([direction(half), direction(~half)]))[0, 1] for half in halves]
    )


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
