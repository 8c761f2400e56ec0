"""High onset level: how strong the onsets above 4 kHz are, in decibels; those of hi-hats, shakers and
snares.

Conventions: frames of `tonearm.measures.spectrum`. The power above 4 kHz of each frame, and its rise
since the frame before; falls count as 0. The level is that of the mean rise, relative to the power of
a full-scale sine, so that removing the drums from a mix lowers it and a held bright tone hardly raises
it. Not below -100 dB. None for silence, under two frames, and where the sample rate has nothing above
4 kHz.

Estimator: `librosa.stft`, numpy.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement
from tonearm.measures.spectrum import FRAMES

LOWEST_HZ = 4000.0
FLOOR_DB = -100.0


def estimate_high_onset_level(analysis: ClipAnalysis) -> float | None:
    spectrum = analysis.spectrum
    if spectrum is None or spectrum.magnitudes.shape[1] < 2:
        return None
    high = spectrum.frequencies > LOWEST_HZ
    if not high.any():
        return None
    power = (spectrum.magnitudes[high].astype(np.float64) ** 2).sum(0)
    rise = np.clip(np.diff(power), 0, None).mean()
    # |S|^2, summed over the bins of a full-scale sine's main lobe in a Hann window of n_fft samples
    full_scale = 1.5 * (spectrum.n_fft / 4) ** 2
    return float(max(FLOOR_DB, 10 * np.log10(max(rise / full_scale, 1e-30))))


HIGH_ONSET_LEVEL = Measure(
    "high_onset_level",
    "dB",
    f"mean rise of the power above 4 kHz from frame to frame, re a full-scale sine, {FRAMES}",
    estimate_high_onset_level,
)


def measure_high_onset_level(clip: Clip) -> Measurement:
    """Measure the level of the onsets above 4 kHz in dB."""
    return HIGH_ONSET_LEVEL.of(clip)
