"""One playback level for the takes of a page.

The louder of two takes seems better, whatever else differs, so pages play copies at one loudness.
"""

import math
from collections.abc import Sequence

import numpy as np

from tonearm.audio import Clip

USUAL_LUFS = -18.0  # the reference level of ReplayGain 2.0
PEAK = 0.98  # full scale is 1


def common_loudness(clips: Sequence[Clip]) -> float | None:
    """Find the loudness that every clip reaches with no sample past PEAK.

    Returns:
        LUFS, USUAL_LUFS at most; None where no clip has a loudness (silent, or under 0.4 s).
    """
    reachable = [
        clip.loudness + 20 * math.log10(PEAK / float(np.abs(clip.samples).max()))
        for clip in clips
        if math.isfinite(clip.loudness)
    ]
    return min(USUAL_LUFS, *reachable) if reachable else None


def level_matched(clips: Sequence[Clip]) -> list[Clip]:
    """Copy clips at the loudness that all of them reach; those without a loudness are unchanged."""
    loudness = common_loudness(clips)
    return [clip.loudness_matched(loudness or USUAL_LUFS, PEAK) for clip in clips]


def finite(clip: Clip) -> Clip:
    """Replace NaN and infinities, which file formats and transforms refuse; `faults` lists them."""
    return Clip(np.nan_to_num(clip.samples, nan=0.0, posinf=0.0, neginf=0.0), clip.sample_rate)
