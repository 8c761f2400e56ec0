"""Clipping: the share of samples at or beyond full scale.

Conventions: a sample is clipped at |x| >= 1 - 2^-15, the largest 16-bit sample. Clipping below full
scale, in a clip that was attenuated afterwards, is not detected. None for a clip without samples.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement

CLIPPED_AT = 1 - 2**-15


def estimate_clipping(analysis: ClipAnalysis) -> float | None:
    samples = analysis.clip.samples
    return (np.abs(samples) >= CLIPPED_AT).mean() if samples.size else None


CLIPPING = Measure("clipped", "share", "samples with |x| >= 1 - 2^-15", estimate_clipping)


def measure_clipping(clip: Clip) -> Measurement:
    """Measure the share of clipped samples."""
    return CLIPPING.of(clip)
