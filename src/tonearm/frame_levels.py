"""Levels: how loud a clip is from frame to frame, and whether there is anything to measure in it.

Conventions: dBFS of the RMS, so a full-scale square wave is 0 dBFS and a full-scale sine -3 dBFS; the channels are
mixed to mono; frames of 50 ms side by side, the last one as short as it comes out.
"""

from dataclasses import dataclass

import numpy as np

from tonearm.audio import Clip

FRAME_SECONDS = 0.05
SILENCE_DBFS = -60.0


@dataclass(frozen=True)
class FrameLevels:
    """`dbfs` float64 [F], -inf for digital silence, NaN for samples not finite; `seconds` float64 [F]."""

    dbfs: np.ndarray
    seconds: np.ndarray

    @property
    def silent_share(self) -> float:
        """The share of the time, 0 .. 1, below -60 dBFS; 1 for a clip without samples."""
        if not self.seconds.size:
            return 1.0
        return float(np.average(self.dbfs < SILENCE_DBFS, weights=self.seconds))


def frame_levels(clip: Clip) -> FrameLevels:
    mono = clip.mono.astype(np.float64)
    starts = np.arange(0, mono.size, max(1, round(FRAME_SECONDS * clip.sample_rate)))
    if not starts.size:
        return FrameLevels(np.empty(0), np.empty(0))
    lengths = np.diff(starts, append=mono.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        dbfs = 10 * np.log10(np.add.reduceat(mono**2, starts) / lengths)
    return FrameLevels(dbfs, lengths / clip.sample_rate)


def is_sounding(clip: Clip) -> bool:
    """Whether a clip holds sound to measure: finite samples, and at least one frame at -60 dBFS or above."""
    return bool(np.isfinite(clip.samples).all()) and frame_levels(clip).silent_share < 1
