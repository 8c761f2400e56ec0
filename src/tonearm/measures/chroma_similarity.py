"""Chroma similarity of two clips: whether the second has the harmony and melody of the first.

    chroma_similarity       mean over steps t of cos(a_t, b_t),  a_t, b_t chroma of 0.5 s at t
    mean_chroma_similarity  cos(a, b),  a, b mean chroma of the clips; for clips of different times,
                            such as a continuation and the music before it

Source: Copet et al. 2023, "Simple and Controllable Music Generation", where the cosine of chroma at
equal times measures whether a take has its melody; here with all of the chroma of
`tonearm.measures.chroma`, not only its strongest pitch class.

Conventions: chroma has no octaves; steps where either clip is silent are left out; None where
nothing remains, such as for a silent clip (which a study counts apart, since a mean without it is
too favourable). Chroma is not negative, so that the cosine of unrelated music is well above 0 (0.88
on average in rendered pieces, docs/measures.md): compare it with that of the same clip with a third,
unrelated one.

Shapes: steps [T, 12] and means [12] from C, at any scale: `ClipAnalysis.chroma_steps` and
`ClipAnalysis.chroma`, or their values in a record of a study.
"""

from collections.abc import Sequence

import numpy as np

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.measures.chroma import STEPS_PROTOCOL, unit_or_zero

Rows = np.ndarray | Sequence[Sequence[float]]
Row = np.ndarray | Sequence[float]

PROTOCOL = f"mean cosine at equal times of the {STEPS_PROTOCOL}"


def chroma_similarity(first: Rows | None, second: Rows | None) -> float | None:
    """Compare two clips at equal times.

    Args:
        first: chroma steps of a clip, [T, 12]; None for silence.
        second: of the other clip, [T', 12]; None for silence.

    Returns:
        Mean cosine over the common length, 0 .. 1; None without a step in which both sound.

    Raises:
        TonearmError: chroma of another shape.
    """
    one = boundary.optional(_steps, first, "first")
    other = boundary.optional(_steps, second, "second")
    if one is None or other is None:
        return None
    length = min(len(one), len(other))
    one, other = unit_or_zero(one[:length]), unit_or_zero(other[:length])
    both = one.any(1) & other.any(1)
    return float((one[both] * other[both]).sum(1).mean()) if both.any() else None


def mean_chroma_similarity(first: Row | None, second: Row | None) -> float | None:
    """Compare the mean chroma of two clips, whatever their times.

    Args:
        first: mean chroma of a clip, [12]; None for silence.
        second: of the other clip, [12]; None for silence.

    Returns:
        Cosine, 0 .. 1; None where either is None or zero.

    Raises:
        TonearmError: chroma of another shape.
    """
    one = boundary.optional(_mean, first, "first")
    other = boundary.optional(_mean, second, "second")
    return chroma_similarity(one, other)


def _mean(value: object, name: str) -> np.ndarray:
    """Return the mean chroma of a clip as its only step, float64 [1, 12]."""
    return _checked(boundary.array(value, name)[None], name)


def _steps(value: object, name: str) -> np.ndarray:
    return _checked(boundary.array(value, name, dimensions=2), name)


def _checked(chroma: np.ndarray, name: str) -> np.ndarray:
    if chroma.shape[1] != 12:
        raise TonearmError(
            f"{name} has {chroma.shape[1]} pitch classes; give chroma of 12, from C on"
        )
    return chroma
