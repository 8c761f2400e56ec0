"""Level of a clip per frame, and its silent frames.

Conventions: RMS level in dBFS, so that a full-scale square wave has 0 dBFS and a full-scale sine
-3 dBFS; channels mixed to mono; adjacent frames of 50 ms, the last one possibly shorter.
"""

from dataclasses import dataclass

import numpy as np

from tonearm.audio import Clip

FRAME_SECONDS = 0.05
SILENCE_DBFS = -60.0


@dataclass(frozen=True)
class FrameLevels:
    """Level and duration of each frame.

    `dbfs` is float64 [F], -inf for digital silence and NaN for samples that are not finite;
    `seconds` is float64 [F].
    """

    dbfs: np.ndarray
    seconds: np.ndarray

    @property
    def silent_share(self) -> float:
        """Share of the duration, 0 .. 1, below -60 dBFS; 1 for a clip without samples."""
        if not self.seconds.size:
            return 1.0
        return float(np.average(self.dbfs < SILENCE_DBFS, weights=self.seconds))


def frame_levels(clip: Clip) -> FrameLevels:
    """Compute the level of each frame of a clip."""
    mono = clip.mono.astype(np.float64)
    starts = np.arange(0, mono.size, max(1, round(FRAME_SECONDS * clip.sample_rate)))
    if not starts.size:
        return FrameLevels(np.empty(0), np.empty(0))
    lengths = np.diff(starts, append=mono.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        dbfs = 10 * np.log10(np.add.reduceat(mono**2, starts) / lengths)
    return FrameLevels(dbfs, lengths / clip.sample_rate)


def is_sounding(clip: Clip, levels: FrameLevels | None = None) -> bool:
    """Test for finite samples and at least one frame at -60 dBFS or above.

    `levels` are those of the clip where the caller has computed them already.
    """
    if not np.isfinite(clip.samples).all():
        return False
    return (frame_levels(clip) if levels is None else levels).silent_share < 1
