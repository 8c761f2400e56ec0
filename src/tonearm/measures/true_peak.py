"""True peak in dBTP: the largest |value| of the continuous signal that the samples represent.

Source: ITU-R BS.1770-4, Annex 2.

Conventions: 4x oversampling. The true peak may exceed 0 dBTP where no sample does, and is never
below the sample peak. Oversampled to at least 192 kHz, it underestimates a sine by at most 0.7 dB.
None for digital silence and for samples that are not finite.

Estimator: `scipy.signal.resample_poly`.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement

OVERSAMPLING = 4


def estimate_true_peak(analysis: ClipAnalysis) -> float | None:
    samples = analysis.clip.samples
    if not samples.any() or not np.isfinite(samples).all():
        return None
    from scipy.signal import resample_poly

    oversampled = resample_poly(samples, OVERSAMPLING, 1, axis=1)
    return 20 * np.log10(max(float(np.abs(oversampled).max()), float(np.abs(samples).max())))


TRUE_PEAK = Measure(
    "true_peak",
    "dBTP",
    "true peak, ITU-R BS.1770-4 Annex 2, 4x oversampling (scipy resample_poly)",
    estimate_true_peak,
)


def measure_true_peak(clip: Clip) -> Measurement:
    """Measure the true peak in dBTP."""
    return TRUE_PEAK.of(clip)
