"""Loudness range in LU: the spread of the short-term loudness between passages.

    range = L95 - L10

L95 and L10 are percentiles of the short-term loudness: windows of 3 s, ten per second, without
those below -70 LUFS and those 20 LU below the power mean of the rest.

Source: EBU Tech 3342, v3.0, 2016.

Conventions: None for silence, for clips shorter than 6 s, which have no two disjoint windows, and
for more than five channels. Ten seconds give 71 windows, any two of which share most of their
samples, so the range of a short clip is coarse.

Estimator: `pyloudnorm` weights and measures the windows. Its own `loudness_range` first appends
1.5 s of silence, which adds 1 LU to a steady tone of 10 s.
"""

import numpy as np

from tonearm.audio import MAX_LOUDNESS_CHANNELS, MIN_LOUDNESS_RATE, Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement

WINDOW_SECONDS = 3.0
WINDOWS_PER_SECOND = 10
MIN_SECONDS = 6.0
GATE_LUFS = -70.0
RELATIVE_GATE_LU = -20.0
PERCENTILES = (10, 95)


def estimate_loudness_range(analysis: ClipAnalysis) -> float | None:
    clip = analysis.clip
    unfit = clip.seconds < MIN_SECONDS or len(clip.samples) > MAX_LOUDNESS_CHANNELS
    if unfit or not analysis.is_sounding:
        return None
    loudness = short_term_loudness(analysis.metered)
    loudness = loudness[loudness >= GATE_LUFS]
    if not loudness.size:
        return None
    gate = 10 * np.log10((10 ** (loudness / 10)).mean()) + RELATIVE_GATE_LU
    low, high = np.percentile(loudness[loudness >= gate], PERCENTILES)
    return float(high - low)


def short_term_loudness(clip: Clip) -> np.ndarray:
    """Measure the loudness of each window of 3 s.

    Returns:
        LUFS, float64 [1 + 10 (seconds - 3)]; -inf for digital silence.
    """
    import pyloudnorm

    clip = clip if clip.sample_rate >= MIN_LOUDNESS_RATE else clip.resampled(MIN_LOUDNESS_RATE)
    meter = pyloudnorm.Meter(
        clip.sample_rate,
        block_size=WINDOW_SECONDS,
        overlap=1 - 1 / (WINDOWS_PER_SECOND * WINDOW_SECONDS),
    )
    with np.errstate(divide="ignore"):
        meter.integrated_loudness(clip.samples.T.astype(np.float64))
    return np.asarray(meter.blockwise_loudness)


LOUDNESS_RANGE = Measure(
    "loudness_range",
    "LU",
    "loudness range, EBU Tech 3342 (3-s windows, 10 a second), pyloudnorm's K-weighting, "
    "no padding",
    estimate_loudness_range,
)


def measure_loudness_range(clip: Clip) -> Measurement:
    """Measure the loudness range in LU."""
    return LOUDNESS_RANGE.of(clip)
