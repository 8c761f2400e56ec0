"""Agreement of k-means clusters with labels.

k-means, which does not use the labels, finds as many clusters as there are labels; four indices
compare the two partitions.

    ARI         pairs that both partitions join or separate, above chance; 1 equal, 0 by chance
    AMI         mutual information above chance, over the mean of the entropies; likewise
    NMI         mutual information over the mean of the entropies; 1 equal. It is above 0 by chance:
                about .5 for 900 rows of 92 independent labels
    Jaccard     |label a and cluster b| / |label a or cluster b|, a matrix; clusters are ordered so
                that its trace is largest

Source: Panda et al. 2025, III (who choose the layer with the highest ARI); Hubert & Arabie 1985;
Strehl & Ghosh 2002.

Null of an index: its distribution over permutations of the labels; the rows of a track are permuted
together.

Conventions: Euclidean, features not standardised; ten starts, the best kept. Whitened rows are on
their first principal components, each scaled to unit variance, so that dimensions of large variance
do not decide alone.

Estimator: `sklearn.cluster.KMeans`, `expected_mutual_information`; the indices themselves are
computed here, since scikit-learn's checks of their input take far longer than the permutations of a
null. `scipy.optimize.linear_sum_assignment` gives the order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.evaluators.base import Embedder
from tonearm.evaluators.corpora import EmbeddedCorpus, embed_corpus
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.progress import Progress

STARTS = 10
PERMUTATIONS, NULL_QUANTILE = 200, 0.95


@dataclass(frozen=True)
class Null:
    """An index under permuted labels: its mean, and the bound that 5 % of them exceed."""

    mean: float
    bound: float

    @classmethod
    def of(cls, draws: np.ndarray) -> "Null":
        """Summarise the values of an index under permutations."""
        return cls(float(draws.mean()), float(np.quantile(draws, NULL_QUANTILE)))


@dataclass(frozen=True)
class Clusters:
    """Clusters of labelled rows.

    Attributes:
        labels: sorted.
        ari: adjusted Rand index.
        ami: adjusted mutual information.
        nmi: normalised mutual information.
        nulls: of the three indices by name.
        jaccard: float64 [labels, clusters].
        assigned: cluster of each row, int [n]; a column of `jaccard`.
        n: rows.
        tracks: number of tracks, the units whose labels are permuted; n where every row is its own.
        seed: of k-means.
        source: of the rows.
    """

    labels: tuple[str, ...]
    ari: float
    ami: float
    nmi: float
    nulls: Mapping[str, Null]
    jaccard: np.ndarray
    assigned: np.ndarray
    n: int
    tracks: int
    seed: int
    source: str

    @property
    def protocol(self) -> str:
        of_tracks = f" of {self.tracks} tracks" if self.tracks < self.n else ""
        return (
            f"k-means, k = {len(self.labels)}, best of {STARTS} starts, seed {self.seed}, "
            f"{self.source}, n = {self.n}{of_tracks}"
        )

    def to_dict(self) -> dict[str, object]:
        return {
            "name": "clusters",
            "value": self.ari,
            "unit": "ARI",
            "protocol": self.protocol,
            "ari": self.ari,
            "ami": self.ami,
            "nulls": {name: asdict(null) for name, null in self.nulls.items()},
            "nmi": self.nmi,
            "labels": list(self.labels),
            "jaccard": self.jaccard.tolist(),
            "n": self.n,
            "tracks": self.tracks,
        }


def measure_clusters(
    rows: np.ndarray,
    labels: Sequence[str],
    source: str,
    seed: int = 0,
    tracks: Sequence[str] | None = None,
) -> Clusters:
    """Cluster rows and compare the clusters with labels.

    Args:
        rows: embeddings or activations [n, D].
        labels: one per row.
        source: description of the rows, for the protocol.
        seed: of k-means.
        tracks: one per row, of rows that resemble each other, such as the excerpts of one recording:
            the null keeps them together. Default: every row is one of its own.

    Returns:
        The clusters with their indices.

    Raises:
        TonearmError: fewer than two labels, a seed that is not possible, or the numbers of rows,
            labels and tracks differ.
    """
    seed = boundary.seed(seed, boundary.MAX_SKLEARN_SEED)
    labels = boundary.sequence(labels, "labels", boundary.text, "a list of labels")
    rows = EmbeddingSet(rows, "the given rows", boundary.text(source, "source")).rows
    if len(rows) != len(labels):
        raise TonearmError(
            f"{len(rows)} rows and {len(labels)} labels; give one label for each row"
        )
    if tracks is None:
        units = np.arange(len(rows))
    else:
        named = boundary.sequence(tracks, "tracks", boundary.text, "a list of tracks")
        if len(named) != len(rows):
            raise TonearmError(
                f"{len(rows)} rows and {len(named)} tracks; give one track for each row"
            )
        units = np.unique(named, return_inverse=True)[1]
    names = tuple(dict.fromkeys(sorted(labels)))
    if len(names) < 2:
        raise TonearmError(
            f"clusters are compared with two labels or more; {source} has "
            f"{', '.join(names) or 'none'}"
        )
    found = k_means(rows, len(names), seed)
    truth = np.array([names.index(label) for label in labels])
    jaccard, assigned = matched_jaccard(truth, found, len(names))
    draws = permuted_agreement(truth, found, units, seed)
    return Clusters(
        labels=names,
        **agreement(truth, found),
        nulls={name: Null.of(values) for name, values in draws.items()},
        jaccard=jaccard,
        assigned=assigned,
        n=len(rows),
        tracks=len(np.unique(units)),
        seed=seed,
        source=source,
    )


def cluster_folders(
    folders: Sequence[Path],
    embedder: Embedder,
    *,
    label: str | None = None,
    where: Mapping[str, str] | None = None,
    layout: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Clusters, EmbeddedCorpus]:
    """Cluster a labelled corpus of audio.

    Args:
        folders: one corpus, or one folder per label.
        embedder: maps each file to one row.
        label: column of the labels; default: that of the layout.
        where: values by column; other items are left out.
        layout: name of the layout; default: found by the files in the folder.
        seed: of k-means.
        progress: called with (done, total) files.

    Returns:
        The clusters, and the corpus with the files that were left out.

    Raises:
        TonearmError: no labelled corpus.
    """
    seed = boundary.seed(seed, boundary.MAX_SKLEARN_SEED)  # before hours of embedding
    corpus = embed_corpus(
        folders, embedder, label=label, where=where, layout=layout, progress=progress
    )
    found = measure_clusters(corpus.rows, corpus.labels, corpus.embedder, seed, corpus.tracks)
    return found, corpus


def whitened(rows: np.ndarray, components: int, seed: int = 0) -> np.ndarray:
    """Rows on their first principal components, each of unit variance.

    Args:
        rows: [n, D].
        components: at most; fewer where n - 1 or D is smaller.
        seed: of the randomised decomposition of large rows.

    Returns:
        float64 [n, components].
    """
    from sklearn.decomposition import PCA

    count = min(components, len(rows) - 1, rows.shape[1])
    return PCA(count, whiten=True, random_state=seed).fit_transform(rows.astype(np.float64))


def k_means(rows: np.ndarray, count: int, seed: int, starts: int = STARTS) -> np.ndarray:
    """Cluster rows.

    Args:
        rows: [n, D].
        count: of clusters, at most n.
        seed: of the starts.
        starts: of which the one with the least squared distances is kept.

    Returns:
        Cluster of each row, int [n], from 0.
    """
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(count, n_init=starts, random_state=seed).fit_predict(rows))


def agreement(truth: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """ARI, AMI and NMI of two partitions.

    Args:
        truth: group of each row, int [n].
        found: cluster of each row, int [n].
    """
    return _indices(truth, found, _expected_information(truth, found))


def permuted_agreement(
    truth: np.ndarray,
    found: np.ndarray,
    tracks: np.ndarray,
    seed: int,
    permutations: int = PERMUTATIONS,
) -> dict[str, np.ndarray]:
    """ARI, AMI and NMI of clusters with permuted labels.

    Tracks of one label and one number of rows exchange their labels, so that rows of a track, which
    resemble each other, keep one label, and every label keeps its number of rows. A track with several
    labels, such as a piece with and without drums, permutes them among its own rows.

    Args:
        truth: label of each row, int [n].
        found: cluster of each row, int [n].
        tracks: of each row, [n].
        seed: of the permutations; it alone decides them for given tracks.
        permutations: their number P.

    Returns:
        float64 [P] by index.
    """
    _, first, track, sizes = np.unique(
        tracks, return_index=True, return_inverse=True, return_counts=True
    )
    by_track = np.argsort(track, kind="stable")
    starts = np.cumsum(sizes) - sizes
    mixed = np.zeros(len(sizes), dtype=bool)
    np.logical_or.at(mixed, track, truth != truth[first][track])
    pools = [
        by_track[starts[(sizes == size) & ~mixed][:, None] + np.arange(size)]
        for size in np.unique(sizes[~mixed])
    ]  # rows of the tracks of one size, [tracks, size]
    of_mixed = by_track[mixed[track[by_track]]]
    rng = np.random.default_rng(seed)
    expected = _expected_information(truth, found)
    draws = []
    for _ in range(permutations):
        permuted = truth.copy()
        for rows in pools:
            permuted[rows] = truth[rng.permutation(rows)]
        if len(of_mixed):
            order = np.lexsort((rng.random(len(of_mixed)), track[of_mixed]))
            permuted[of_mixed] = truth[of_mixed[order]]
        draws.append(_indices(permuted, found, expected))
    return {name: np.array([draw[name] for draw in draws]) for name in draws[0]}


def matched_jaccard(
    truth: np.ndarray, found: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Jaccard matrix with its clusters in the order that maximises the trace.

    Args:
        truth: label of each row, int [n] below `count`.
        found: cluster of each row, likewise.
        count: of labels and clusters.

    Returns:
        float64 [labels, clusters], and the cluster of each row in that order, int [n].
    """
    from scipy.optimize import linear_sum_assignment

    jaccard = jaccard_matrix(truth, found, count)
    order = linear_sum_assignment(jaccard, maximize=True)[1]
    return jaccard[:, order], np.argsort(order)[found]


def _indices(truth: np.ndarray, found: np.ndarray, expected: float) -> dict[str, float]:
    """ARI, AMI and NMI; `expected` is the mutual information by chance, in nats.

    Permuting the labels keeps the sizes of the groups and so `expected`, which takes far longer to
    compute than the rest.
    """
    sizes = truth.max() + 1, found.max() + 1
    joint = np.bincount(truth * sizes[1] + found, minlength=sizes[0] * sizes[1]).reshape(sizes)
    information = _entropy(joint.sum(1)) + _entropy(joint.sum(0)) - _entropy(joint)
    most = (_entropy(joint.sum(1)) + _entropy(joint.sum(0))) / 2
    return {
        "ari": _adjusted_rand(joint),
        "ami": (information - expected) / (most - expected) if most > expected else 0.0,
        "nmi": information / most,
    }


def _adjusted_rand(joint: np.ndarray) -> float:
    """Adjusted Rand index of a contingency table; 1 where both partitions are trivial."""

    def pairs(counts: np.ndarray) -> float:
        return float((counts * (counts - 1)).sum()) / 2

    both, first, second = pairs(joint), pairs(joint.sum(1)), pairs(joint.sum(0))
    by_chance = first * second / pairs(joint.sum())
    most = (first + second) / 2
    return (both - by_chance) / (most - by_chance) if most > by_chance else 1.0


def _entropy(counts: np.ndarray) -> float:
    """Entropy of counts, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def _expected_information(truth: np.ndarray, found: np.ndarray) -> float:
    from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

    contingency = contingency_matrix(truth, found, sparse=True).astype(np.int64)
    return float(expected_mutual_information(contingency, len(truth)))


def jaccard_matrix(first: np.ndarray, second: np.ndarray, count: int) -> np.ndarray:
    """Compute overlap over union of the groups of two partitions.

    Args:
        first: group of each row, int [n] below `count`.
        second: likewise.
        count: groups of each partition.

    Returns:
        float64 [count, count].
    """
    groups = np.arange(count)[:, None]
    a, b = first == groups, second == groups  # [count, n]
    both = (a[:, None] & b[None]).sum(-1)
    either = (a[:, None] | b[None]).sum(-1)
    return both / np.maximum(either, 1)
