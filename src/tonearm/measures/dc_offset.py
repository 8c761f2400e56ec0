"""DC offset: the largest |mean| of a channel.

Conventions: full scale = 1. None for a clip without samples, and for samples that are not finite.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement


def estimate_dc_offset(analysis: ClipAnalysis) -> float | None:
    samples = analysis.clip.samples
    return np.abs(samples.mean(1, dtype=np.float64)).max() if samples.size else None


DC_OFFSET = Measure("dc_offset", "full scale", "largest |mean| of a channel", estimate_dc_offset)


def measure_dc_offset(clip: Clip) -> Measurement:
    """Measure the DC offset."""
    return DC_OFFSET.of(clip)
