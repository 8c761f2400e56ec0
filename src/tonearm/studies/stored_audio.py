"""Audio as a store keeps it: 16 bits, after division by a scale where it exceeds full scale.

Audio is rounded once, where it is made: 16 bits have no +1.0, so that a positive peak beyond full
scale becomes a smaller one, and rounding again would scale all samples by that.
"""

import errno
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

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

    def write(self, path: Path) -> None:
        """Write a FLAC file, and read it back: the audio library reports no full disk when it closes
        a file.

        Raises:
            OSError: the file is not whole.
        """
        try:
            soundfile.write(path, self.pcm.T, self.sample_rate, "PCM_16", format="FLAC")
            is_whole = np.array_equal(StoredAudio.read(path, self.scale).pcm, self.pcm)
        except (OSError, soundfile.LibsndfileError):
            is_whole = False
        if not is_whole:
            raise OSError(errno.EIO, "the disk is full, or fails")

    @classmethod
    def read(cls, path: Path, scale: float) -> "StoredAudio":
        """Read a FLAC file.

        Raises:
            OSError: it is missing or damaged.
        """
        try:
            pcm, sample_rate = soundfile.read(path, dtype="int16", always_2d=True)
        # of a damaged header, too: a length that no array can have
        except (soundfile.LibsndfileError, ValueError, MemoryError) as error:
            raise OSError(errno.EIO, str(error)) from None
        return cls(pcm.T, sample_rate, scale)
