"""Static spectrum: the longest stretch without a change from one half second to the next.

Aim: to detect a frozen take: a drone, a constant texture, noise.

Estimator: power in 64 mel bands up to 8 kHz (16 kHz, 64-ms Hann frames, 16-ms hop), averaged over
adjacent half seconds and limited to 50 dB below the loudest; the change is the mean absolute
difference of level, in dB over bands, between two neighbours. A stretch is static where every
change in it is below 1.5 dB.

Conventions: in seconds, 0 where every change is larger. A rest of less than half a second at the
end of the clip is left out, so that a static clip has its length rounded down to half seconds.
Channels mixed to mono; independent of gain. None for silence and for clips under 2 s.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement

SAMPLE_RATE = 16_000
BLOCK = 8_000  # samples: half a second
BLOCK_SECONDS = BLOCK / SAMPLE_RATE
FRAME, HOP = 1024, 256  # samples: 64 and 16 ms
BANDS = 64
RANGE_DB = 50.0
STATIC_DB = 1.5
MIN_SECONDS = 2.0


def spectral_changes(mono: np.ndarray) -> np.ndarray:
    """Change between neighbouring half seconds of mono samples at 16 kHz, in dB, [blocks - 1]."""
    from librosa.feature import melspectrogram

    blocks = mono[: len(mono) // BLOCK * BLOCK].reshape(-1, BLOCK)
    power = melspectrogram(
        y=blocks, sr=SAMPLE_RATE, n_fft=FRAME, hop_length=HOP, n_mels=BANDS, center=False
    ).mean(-1)
    decibels = 10 * np.log10(np.maximum(power, power.max() * 10 ** (-RANGE_DB / 10) + 1e-30))
    return np.abs(np.diff(decibels, axis=0)).mean(1)


def estimate_static(analysis: ClipAnalysis) -> float | None:
    """Estimate the longest static stretch in seconds."""
    if analysis.clip.seconds < MIN_SECONDS or not analysis.is_sounding:
        return None
    longest = run = 0
    for change in spectral_changes(analysis.resampled_mono(SAMPLE_RATE)):
        run = run + 1 if change < STATIC_DB else 0
        longest = max(longest, run)
    return (longest + 1) * BLOCK_SECONDS if longest else 0.0


STATIC = Measure(
    "static",
    "s",
    "longest stretch with less than 1.5 dB between half-second spectra, 64 mel bands to 8 kHz",
    estimate_static,
)


def measure_static(clip: Clip) -> Measurement:
    """Measure the longest stretch without spectral change."""
    return STATIC.of(clip)
