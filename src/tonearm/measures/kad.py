"""Kernel distance (KAD): how far a set of clips lies from a reference set, whatever the shape of either.

    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)
    k(x, y) = exp(-|x - y|^2 / 2 s^2)

times 100, with the bandwidth s = the median distance between two clips of the reference.

Source: Gretton et al. 2012, "A kernel two-sample test", JMLR 13 (eq. 3, the unbiased estimator); Chung et al. 2025,
"KAD: no more FAD!".

Conventions: unbiased, so its mean does not depend on n; it may be slightly negative for sets that are alike. The
bandwidth is the reference's: keep the reference, and values compare.

Estimator: numpy, float64.
"""

from dataclasses import asdict, dataclass

import numpy as np

from tonearm.errors import TonearmError
from tonearm.evaluators.embedding_set import EmbeddingSet

SCALE = 100.0


@dataclass(frozen=True)
class KAD:
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
            f"unbiased Gaussian MMD^2 x 100, bandwidth {self.bandwidth:.4g}, {self.embedder}, n = {self.n} ({self.source}) against "
            f"{self.n_reference} ({self.reference}), width {self.width}"
        )

    def to_dict(self) -> dict[str, object]:
        return {"name": "kernel", "unit": "MMD^2 x 100", "protocol": self.protocol, **asdict(self)}


def measure_kad(clips: EmbeddingSet, reference: EmbeddingSet) -> KAD:
    """Raises TonearmError for sets of one clip, of different embeddings, and a reference whose clips are all alike."""
    clips.check_comparable(reference, "a kernel distance")
    from scipy.spatial.distance import pdist

    bandwidth = float(np.median(pdist(reference.rows)))
    if not bandwidth:
        raise TonearmError(f"most clips of the reference {reference.source} are the same; give different ones")
    return KAD(
        value=SCALE * squared_mmd(clips.rows, reference.rows, bandwidth), bandwidth=bandwidth, n=len(clips),
        n_reference=len(reference), width=clips.width, embedder=clips.embedder, source=clips.source, reference=reference.source,
    )  # fmt: skip


def squared_mmd(first: np.ndarray, second: np.ndarray, bandwidth: float) -> float:
    """The unbiased estimate from rows [n, D] and [m, D]."""
    from scipy.spatial.distance import cdist, pdist

    def kernel(squared_distances: np.ndarray) -> float:
        return float(np.exp(-squared_distances / (2 * bandwidth**2)).mean())

    within = kernel(pdist(first, "sqeuclidean")) + kernel(pdist(second, "sqeuclidean"))
    return within - 2 * kernel(cdist(first, second, "sqeuclidean"))
