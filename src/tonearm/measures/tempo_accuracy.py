"""Tempo accuracy: the share of estimated tempi that are right.

    accuracy 1    the estimate is within 4 % of the true tempo
    accuracy 2    within 4 % of the true tempo, its double, triple, half or third, which ignores
                  octave errors

Source: Gouyon et al. 2006, "An experimental comparison of audio tempo induction algorithms", IEEE
TASLP 14(5).

Conventions: BPM. An estimate of None (no tempo found) is wrong by both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tonearm.stats import Share

TOLERANCE = 0.04
OCTAVES = (1, 2, 3, 1 / 2, 1 / 3)


@dataclass(frozen=True)
class TempoAccuracy:
    """Both accuracies as shares of the clips, with their intervals."""

    accuracy_1: Share
    accuracy_2: Share


def is_right_tempo(estimated: float | None, true: float, any_octave: bool = False) -> bool:
    """Test an estimated tempo.

    Args:
        estimated: BPM; None where no tempo was found.
        true: BPM.
        any_octave: accept the double, triple, half and third of the true tempo.

    Returns:
        Whether the estimate is within 4 %.
    """
    if estimated is None:
        return False
    factors = OCTAVES if any_octave else OCTAVES[:1]
    return any(abs(estimated - true * factor) <= TOLERANCE * true * factor for factor in factors)


def tempo_accuracy(estimated: Sequence[float | None], true: Sequence[float]) -> TempoAccuracy:
    """Compute both accuracies over clips; raises ValueError for none, and for unequal lengths."""
    pairs = list(zip(estimated, true, strict=True))
    right = [
        sum(is_right_tempo(bpm, truth, any_octave) for bpm, truth in pairs)
        for any_octave in (False, True)
    ]
    return TempoAccuracy(*(Share.of(count, len(pairs)) for count in right))
