"""Crest factor in dB: the largest sample over the RMS.

    crest factor = 20 log10(max |x| / RMS(x))

Conventions: the largest sample of any channel, the RMS over all channels; 3.01 dB for a sine, 0 for
a square wave. None for silence.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement


def estimate_crest_factor(analysis: ClipAnalysis) -> float | None:
    if not analysis.is_sounding:
        return None
    samples = analysis.clip.samples.astype(np.float64)
    return 20 * np.log10(np.abs(samples).max() / np.sqrt((samples**2).mean()))


CREST_FACTOR = Measure(
    "crest_factor",
    "dB",
    "largest absolute sample of any channel over the RMS of all",
    estimate_crest_factor,
)


def measure_crest_factor(clip: Clip) -> Measurement:
    """Measure the crest factor in dB."""
    return CREST_FACTOR.of(clip)
