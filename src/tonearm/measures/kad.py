"""Kernel audio distance (KAD) of a set of clips to a reference set, without a model of either.

    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)
    k(x, y) = exp(-|x - y|^2 / 2 s^2)

times 100, with the bandwidth s = the median distance between two clips of the reference.

Source: Gretton et al. 2012, "A kernel two-sample test", JMLR 13 (eq. 3, the unbiased estimator);
Chung et al. 2025, "KAD: no more FAD!".

Conventions: unbiased, so its mean does not depend on n; it may be slightly negative for similar
sets. The bandwidth is the reference's: values compare only against one reference.

Estimator: numpy, float64.
"""

from dataclasses import asdict, dataclass

import numpy as np

from tonearm.errors import TonearmError
from tonearm.evaluators.embedding_set import EmbeddingSet, check_sets

SCALE = 100.0
MAX_CLIPS = 16_384  # of a set; all pairs of two such sets take 2 GiB
MIN_BANDWIDTH = 1e-30


@dataclass(frozen=True)
class KAD:
    """Kernel distance.

    Attributes:
        value: squared MMD x 100.
        bandwidth: s of the kernel.
        n: clips in the set.
        n_reference: clips in the reference.
        width: dimensions of the embeddings.
        embedder: their source.
        source: name of the set.
        reference: name of the reference.
    """

    value: float
    bandwidth: float
    n: int
    n_reference: int
    width: int
    embedder: str
    source: str
    reference: str

    @property
    def protocol(self) -> str:
        return (
            f"unbiased Gaussian MMD^2 x 100, bandwidth {self.bandwidth:.4g}, {self.embedder}, "
            f"n = {self.n} ({self.source}) against {self.n_reference} ({self.reference}), "
            f"width {self.width}"
        )

    def to_dict(self) -> dict[str, object]:
        entry = {"name": "kad", "unit": "MMD^2 x 100", "protocol": self.protocol}
        return {**entry, **asdict(self)}


def median_distance(clips: EmbeddingSet) -> float:
    """Median distance of two clips of a set: the bandwidth, where the set is the reference."""
    from scipy.spatial.distance import pdist

    return float(np.median(pdist(clips.rows)))


def measure_kad(clips: EmbeddingSet, reference: EmbeddingSet) -> KAD:
    """Measure the kernel distance of a set to a reference.

    Args:
        clips: the set.
        reference: the reference, by the same embedder.

    Returns:
        The distance.

    Raises:
        TonearmError: a set of one clip or more than MAX_CLIPS, sets of different embedders, or a
            reference of which most clips are equal.
    """
    check_sets(clips, reference)
    clips.check_comparable(reference, "a kernel distance")
    for one in (clips, reference):
        if len(one) > MAX_CLIPS:
            raise TonearmError(
                f"a kernel distance compares all pairs of clips, and {one.source} has {len(one)}; "
                f"give at most {MAX_CLIPS}, or measure the Fréchet distance alone"
            )
    bandwidth = median_distance(reference)
    if bandwidth < MIN_BANDWIDTH:
        raise TonearmError(
            f"most clips of the reference {reference.source} are the same; give different ones"
        )
    return KAD(
        value=SCALE * squared_mmd(clips.rows, reference.rows, bandwidth),
        bandwidth=bandwidth,
        n=len(clips),
        n_reference=len(reference),
        width=clips.width,
        embedder=clips.embedder,
        source=clips.source,
        reference=reference.source,
    )


def squared_mmd(first: np.ndarray, second: np.ndarray, bandwidth: float) -> float:
    """Compute the unbiased estimate from rows [n, D] and [m, D]."""
    from scipy.spatial.distance import cdist, pdist

    def kernel(squared_distances: np.ndarray) -> float:
        return float(np.exp(-squared_distances / (2 * bandwidth**2)).mean())

    within = kernel(pdist(first, "sqeuclidean")) + kernel(pdist(second, "sqeuclidean"))
    return within - 2 * kernel(cdist(first, second, "sqeuclidean"))
