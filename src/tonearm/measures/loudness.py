"""Loudness: integrated loudness in LUFS, the sample peak in dBFS, and the true peak in dBTP.

Aim: whether a clip is quieter or louder than another, and how much room it leaves below full scale.

Conventions: loudness after ITU-R BS.1770-4, all channels, gated at -70 LUFS and 10 LU below the mean; None for silence,
for clips under 0.4 s (one gating block) and for more than five channels. Peak is the largest |sample| of any channel, 0 dBFS = 1.0, not
oversampled. True peak is the largest |value| of the wave that the samples stand for, after 4x oversampling (BS.1770-4, Annex
2): it may lie above 0 dBTP where no sample does, and is never below the peak. Oversampled to at least 192 kHz, it reads a sine at
most 0.7 dB too low. Both peaks are None for digital silence.

Estimator: pyloudnorm (through `Clip.loudness`); numpy; `scipy.signal.resample_poly`.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.measurement import Measurement

LOUDNESS_PROTOCOL = "integrated loudness, ITU-R BS.1770-4, pyloudnorm"
PEAK_PROTOCOL = "largest absolute sample of any channel, 0 dBFS = 1.0"
TRUE_PEAK_PROTOCOL = "true peak, ITU-R BS.1770-4 Annex 2, 4x oversampling (scipy resample_poly)"
OVERSAMPLING = 4


def measure_loudness(clip: Clip) -> Measurement:
    """Integrated loudness in LUFS."""
    return Measurement("loudness", clip.loudness, "LUFS", LOUDNESS_PROTOCOL)


def measure_peak(clip: Clip) -> Measurement:
    """The sample peak in dBFS."""
    with np.errstate(divide="ignore"):
        peak = 20 * np.log10(np.abs(clip.samples).max(initial=0.0))
    return Measurement("peak", peak, "dBFS", PEAK_PROTOCOL)


def measure_true_peak(clip: Clip) -> Measurement:
    """The true peak in dBTP."""
    if not clip.samples.any() or not np.isfinite(clip.samples).all():
        return Measurement("true_peak", None, "dBTP", TRUE_PEAK_PROTOCOL)
    from scipy.signal import resample_poly

    oversampled = resample_poly(clip.samples, OVERSAMPLING, 1, axis=1)
    highest = max(float(np.abs(oversampled).max()), float(np.abs(clip.samples).max()))
    return Measurement("true_peak", 20 * np.log10(highest), "dBTP", TRUE_PEAK_PROTOCOL)
