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

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.stats.share import Share

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
    estimated, true = boundary.optional(boundary.number, estimated, "estimated"), _tempo(true)
    if estimated is None:
        return False
    factors = OCTAVES if boundary.flag(any_octave, "any_octave") else OCTAVES[:1]
    return any(abs(estimated - true * factor) <= TOLERANCE * true * factor for factor in factors)


def tempo_accuracy(estimated: Sequence[float | None], true: Sequence[float]) -> TempoAccuracy:
    """Compute both accuracies over clips.

    Args:
        estimated: BPM of each clip; None where no tempo was found.
        true: BPM of each clip.

    Returns:
        The shares of right tempi.

    Raises:
        TonearmError: no clip, or unequal numbers of tempi.
    """
    found = boundary.sequence(estimated, "estimated", _estimate, "a list of tempi")
    known = boundary.sequence(true, "true", _tempo, "a list of tempi")
    if not found or len(found) != len(known):
        raise TonearmError(
            f"{len(found)} estimated and {len(known)} true tempi; give both of each clip, of one "
            "clip or more"
        )
    pairs = list(zip(found, known, strict=True))
    right = [
        sum(is_right_tempo(bpm, truth, any_octave) for bpm, truth in pairs)
        for any_octave in (False, True)
    ]
    return TempoAccuracy(*(Share.of(count, len(pairs)) for count in right))


def _estimate(value: object, name: str) -> float | None:
    return boundary.optional(boundary.number, value, name)


def _tempo(value: object, name: str = "true") -> float:
    return boundary.number(value, name)
