"""Fréchet distance (FAD): how far a set of clips lies from a reference set, both taken for Gaussians.

    F = |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1^1/2 C2 C1^1/2)^1/2

with mean m and covariance C (n - 1) of each set; 0 for equal ones.

Source: Dowson & Landau 1982; Kilgour et al. 2019, "Fréchet audio distance: a reference-free metric for evaluating music
enhancement algorithms", Interspeech.

Sample size: few clips look far from anything, their own distribution included, by about a constant / n. So compare only
sets of equal n against one reference. The extrapolated distance (Chong & Forsyth 2020, FID-infinity; Gui et al. 2024,
FAD-infinity) measures 20 subsets of n/2 to n clips, drawn without replacement, fits F = a + b / N over their sizes N,
and tells a: what infinitely many such clips would give. Where the truth is 0 and the width 128, the distance of 384
clips is 11.6 and the extrapolated one -1.5; of 1,024 clips, 4.4 and 0.0. Under three clips per dimension it is refused.
The reference's own n stays in it.

Estimator: float64; the trace of the root is the sum of the roots of the eigenvalues of the symmetric matrix, by `eigh`.
"""

from dataclasses import asdict, dataclass

import numpy as np

from tonearm.errors import TonearmError
from tonearm.evaluators.embedding_set import EmbeddingSet

SUBSETS = 20
SMALLEST_SUBSET = 1 / 2  # of n
CLIPS_PER_DIMENSION = 3


@dataclass(frozen=True)
class FAD:
    """`value`, and `extrapolated` to infinitely many clips where that was asked for; compare `value` only for equal `n`."""

    value: float
    extrapolated: float | None
    n: int
    n_reference: int
    width: int
    embedder: str
    source: str
    reference: str

    @property
    def protocol(self) -> str:
        return (
            f"Fréchet distance, {self.embedder}, n = {self.n} ({self.source}) against {self.n_reference} ({self.reference}), "
            f"width {self.width}"
        )

    def to_dict(self) -> dict[str, object]:
        return {"name": "frechet", "unit": "squared distance", "protocol": self.protocol, **asdict(self)}


def measure_fad(clips: EmbeddingSet, reference: EmbeddingSet, extrapolate: bool = False, seed: int = 0) -> FAD:
    """Raises TonearmError for sets of one clip, sets of different embeddings, and too few clips to extrapolate from."""
    clips.check_comparable(reference, "a Fréchet distance")
    mean, covariance = moments(reference.rows)
    return FAD(
        value=frechet_distance(*moments(clips.rows), mean, covariance),
        extrapolated=_extrapolated(clips, mean, covariance, seed) if extrapolate else None,
        n=len(clips), n_reference=len(reference), width=clips.width,
        embedder=clips.embedder, source=clips.source, reference=reference.source,
    )  # fmt: skip


def moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [D] and covariance [D, D], float64."""
    rows = np.asarray(rows, dtype=np.float64)
    return rows.mean(0), np.atleast_2d(np.cov(rows, rowvar=False))


def frechet_distance(
    mean_1: np.ndarray, covariance_1: np.ndarray, mean_2: np.ndarray, covariance_2: np.ndarray
) -> float:
    """Between two Gaussians with means [D] and covariances [D, D]."""
    from scipy.linalg import eigh, eigvalsh

    variances, axes = eigh(covariance_1)
    root = axes * np.sqrt(variances.clip(0)) @ axes.T  # rounding makes eigenvalues of 0 slightly negative
    shared = np.sqrt(eigvalsh(root @ covariance_2 @ root).clip(0)).sum()
    apart = float(((mean_1 - mean_2) ** 2).sum())
    return max(0.0, apart + float(np.trace(covariance_1) + np.trace(covariance_2) - 2 * shared))


def _extrapolated(clips: EmbeddingSet, mean: np.ndarray, covariance: np.ndarray, seed: int) -> float:
    n = len(clips)
    needed = CLIPS_PER_DIMENSION * clips.width
    if n < needed:
        raise TonearmError(
            f"{n} clips are too few to extrapolate from in {clips.width} dimensions; give {needed} or more, or leave it out"
        )
    rng = np.random.default_rng(seed)
    sizes = np.linspace(SMALLEST_SUBSET * n, n, SUBSETS).round().astype(int)
    subsets = [clips.rows[rng.choice(n, size, replace=False)] for size in sizes]
    distances = [frechet_distance(*moments(rows), mean, covariance) for rows in subsets]
    return float(np.polyfit(1 / sizes, distances, 1)[1])
