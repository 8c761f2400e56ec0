"""Sample peak in dBFS: the largest |sample| of any channel.

Conventions: 0 dBFS = 1.0, not oversampled. None for digital silence.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement


def estimate_peak(analysis: ClipAnalysis) -> float:
    with np.errstate(divide="ignore"):
        return 20 * np.log10(np.abs(analysis.clip.samples).max(initial=0.0))


PEAK = Measure(
    "peak", "dBFS", "largest absolute sample of any channel, 0 dBFS = 1.0", estimate_peak
)


def measure_peak(clip: Clip) -> Measurement:
    """Measure the sample peak in dBFS."""
    return PEAK.of(clip)
