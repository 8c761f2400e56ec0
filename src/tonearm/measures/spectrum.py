"""Magnitude spectrum of a clip, shared by the spectral measures.

Conventions: channels mixed to mono. Hann frames of 64 ms every 16 ms; both are given in seconds,
so that a clip and its resampled copy have the same bins up to the lower Nyquist frequency. Means
over frames are weighted by magnitude, so that silent frames have no weight.

Shapes: S is [F bins, T frames].
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

FRAME_SECONDS = 0.064  # 2,048 samples at 32 kHz
HOP_SECONDS = 0.016
FRAMES = "64-ms Hann frames, 16-ms hop"  # in protocols
WEIGHTED = "frames weighted by magnitude"


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Magnitudes |S|, float32 [F, T], and the settings of their transform."""

    magnitudes: np.ndarray
    sample_rate: int
    n_fft: int

    @cached_property
    def frame_weights(self) -> np.ndarray:
        """Sum of the magnitudes of each frame, float32 [T]."""
        return self.magnitudes.sum(0)

    @cached_property
    def power(self) -> np.ndarray:
        """Power of each bin over the whole clip, float64 [F]."""
        return (self.magnitudes.astype(np.float64) ** 2).sum(1)

    @property
    def frequencies(self) -> np.ndarray:
        """Centre of each bin in Hz, float64 [F]."""
        return np.fft.rfftfreq(self.n_fft, 1 / self.sample_rate)

    def weighted_mean(self, values: np.ndarray) -> float:
        """Average `values` [T] over frames, weighted by magnitude."""
        return float(np.average(values, weights=self.frame_weights))


def magnitude_spectrum(mono: np.ndarray, sample_rate: int) -> Spectrum | None:
    """Transform mono samples [N]; None under one frame and where every frame is empty."""
    n_fft = round(FRAME_SECONDS * sample_rate)
    if mono.size < n_fft:
        return None
    import librosa

    # Not padded at the edges: a frame half full of zeros smears the spectrum of its samples.
    spectrum = librosa.stft(
        mono, n_fft=n_fft, hop_length=round(HOP_SECONDS * sample_rate), center=False
    )
    magnitudes = np.abs(spectrum)
    # A clip that sounds only outside the frames, at its very edges, has an empty spectrum.
    return Spectrum(magnitudes, sample_rate, n_fft) if magnitudes.any() else None
