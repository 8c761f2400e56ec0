"""Positions of a knob's slider: its range on a scale from -1 to 1, with zero in the middle.

Each side is scaled to the range of its sign. A sign that failed its calibration has no range, and
all its positions are zero.
"""

from tonearm.live.manifest import Knob, SignView


def value_at(knob: Knob, position: float) -> float:
    """The value, in the unit of the knob, at a position; one beyond -1 to 1 is limited."""
    share = min(1.0, abs(position))
    return share * _limit(knob.positive if position >= 0 else knob.negative)


def position_of(knob: Knob, value: float) -> float:
    """The position of a value; one beyond the range is limited."""
    limit = _limit(knob.positive if value >= 0 else knob.negative)
    if not limit:
        return 0.0
    share = min(1.0, abs(value / limit))
    return share if value >= 0 else -share


def _limit(sign: SignView) -> float:
    return sign.limit if sign.passes else 0.0
