"""Audio as a store keeps it: 16 bits, after division by a scale where it exceeds full scale.

Audio is rounded once, where it is made: 16 bits have no +1.0, so that a positive peak beyond full
scale becomes a smaller one, and rounding again would scale all samples by that.
"""

from dataclasses import dataclass

import numpy as np

from tonearm.audio import Clip

FULL_SCALE = 2**15


@dataclass(frozen=True)
class StoredAudio:
    """Samples of a file.

    pcm          int16 [C, N]
    sample_rate  Hz
    scale        1, or the peak of audio that exceeds full scale
    """

    pcm: np.ndarray
    sample_rate: int
    scale: float

    @classmethod
    def of(cls, clip: Clip) -> "StoredAudio":
        """Round a clip to 16 bits."""
        scale = max(1.0, float(np.abs(clip.samples).max(initial=0)))
        rounded = np.round(clip.samples.astype(np.float64) / scale * FULL_SCALE)
        pcm = rounded.clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)
        return cls(pcm, clip.sample_rate, scale)

    @property
    def clip(self) -> Clip:
        """The rounded clip."""
        samples = (self.pcm / FULL_SCALE * self.scale).astype(np.float32)
        return Clip(samples, self.sample_rate)
