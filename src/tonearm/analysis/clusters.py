"""Clusters: whether clips (or activations) of one label lie together, when nobody tells the clustering of the labels.

k-means finds as many clusters as there are labels; three indices compare the two partitions.

    ARI         pairs that both partitions put together or apart, above chance; 1 the same, 0 by chance
    NMI         mutual information over the mean of the entropies; 1 the same, 0 independent
    Jaccard     |label a and cluster b| / |label a or cluster b|, a matrix; clusters are ordered so that its diagonal is
                as large as can be

Source: Panda et al. 2025, III (they take the layer with the highest ARI); Hubert & Arabie 1985; Strehl & Ghosh 2002.

Conventions: Euclidean, features as they come; ten starts, the best kept.

Estimator: `sklearn.cluster.KMeans`, `adjusted_rand_score`, `normalized_mutual_info_score`;
`scipy.optimize.linear_sum_assignment` for the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.errors import TonearmError

STARTS = 10


@dataclass(frozen=True)
class Clusters:
    """`jaccard` float64 [labels, clusters]; `assigned` is each row's cluster, numbered as the matrix' columns are."""

    labels: tuple[str, ...]
    ari: float
    nmi: float
    jaccard: np.ndarray
    assigned: np.ndarray  # int [n]
    n: int
    seed: int
    source: str

    @property
    def protocol(self) -> str:
        return (
            f"k-means, k = {len(self.labels)}, best of {STARTS} starts, seed {self.seed}, {self.source}, n = {self.n}"
        )

    def to_dict(self) -> dict[str, object]:
        return {
            "name": "clusters",
            "value": self.ari,
            "unit": "ARI",
            "protocol": self.protocol,
            "ari": self.ari,
            "nmi": self.nmi,
            "labels": list(self.labels),
            "jaccard": self.jaccard.tolist(),
            "n": self.n,
        }


def measure_clusters(rows: np.ndarray, labels: Sequence[str], source: str, seed: int = 0) -> Clusters:
    """Cluster `rows` [n, D] and compare with their labels; `source` says what the rows are, for the protocol.

    Raises TonearmError for fewer than two labels.
    """
    if len(rows) != len(labels):
        raise ValueError(f"{len(rows)} rows and {len(labels)} labels; give one label for each row")
    names = tuple(dict.fromkeys(sorted(labels)))
    if len(names) < 2:
        raise TonearmError(f"clusters are compared with two labels or more; {source} has {', '.join(names) or 'none'}")
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    found = KMeans(len(names), n_init=STARTS, random_state=seed).fit_predict(np.asarray(rows, dtype=np.float64))
    truth = np.array([names.index(label) for label in labels])
    jaccard, order = _matched(jaccard_matrix(truth, found, len(names)))
    return Clusters(
        labels=names, ari=float(adjusted_rand_score(truth, found)), nmi=float(normalized_mutual_info_score(truth, found)),
        jaccard=jaccard, assigned=np.argsort(order)[found], n=len(rows), seed=seed, source=source,
    )  # fmt: skip


def jaccard_matrix(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """Overlap over union of the groups of `first` and `second`, both int [n] below `count`; float64 [count, count]."""
    a, b = first == np.arange(count)[:, None], second == np.arange(count)[:, None]  # [count, n]
    both = (a[:, None] & b[None]).sum(-1)
    either = (a[:, None] | b[None]).sum(-1)
    return both / np.maximum(either, 1)


def _matched(jaccard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The matrix with its columns in the order that makes the diagonal largest, and that order."""
    from scipy.optimize import linear_sum_assignment

    order = linear_sum_assignment(jaccard, maximize=True)[1]
    return jaccard[:, order], order
