"""Tempo accuracy: how often estimated tempi are right.

Aim: to say how far a tempo estimator, or music that was asked for at some tempo, can be trusted.

    accuracy 1    the estimate lies within 4 % of the truth
    accuracy 2    within 4 % of the truth, its double, triple, half or third: the octave is forgiven

Source: Gouyon et al. 2006, "An experimental comparison of audio tempo induction algorithms", IEEE TASLP 14(5).

Conventions: BPM. An estimate of None (nothing found) is wrong by both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tonearm.stats import Share

TOLERANCE = 0.04
OCTAVES = (1, 2, 3, 1 / 2, 1 / 3)


@dataclass(frozen=True)
class TempoAccuracy:
    """`accuracy_1` and `accuracy_2` are shares of the clips, with their intervals."""

    accuracy_1: Share
    accuracy_2: Share


def is_right_tempo(estimated: float | None, true: float, any_octave: bool = False) -> bool:
    """Whether `estimated` lies within 4 % of `true` or, with `any_octave`, of its double, triple, half or third."""
    if estimated is None:
        return False
    return any(
        abs(estimated - true * factor) <= TOLERANCE * true * factor for factor in OCTAVES[: 5 if any_octave else 1]
    )


def tempo_accuracy(estimated: Sequence[float | None], true: Sequence[float]) -> TempoAccuracy:
    """Both accuracies over clips; raises ValueError where there are none, or the lists differ in length."""
    pairs = list(zip(estimated, true, strict=True))
    right = [sum(is_right_tempo(bpm, truth, any_octave) for bpm, truth in pairs) for any_octave in (False, True)]
    return TempoAccuracy(*(Share.of(count, len(pairs)) for count in right))
