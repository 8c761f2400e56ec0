"""Dynamics: the crest factor in dB, and the loudness range in LU.

Aim: how far a clip's loud moments stand out, from sample to sample (crest factor) and from passage to passage (range).

    crest = 20 log10(max |x| / RMS(x)),     range = L95 - L10

L95 and L10 are percentiles of the short-term loudness: windows of 3 s, ten a second, without those below -70 LUFS and
those 20 LU below the power mean of the rest (EBU Tech 3342, v3.0, 2016).

Conventions: the crest factor takes the largest sample of any channel and the RMS over all of them; a sine has 3.01 dB,
a square wave 0. Both are None for silence, the range under 6 s too, where no two windows lie side by side, and above
five channels. Ten seconds hold 71 windows of which any two share most of their sound, so the range of a short clip is
coarse.

Estimator: numpy; `pyloudnorm` weights and measures the windows. Its own `loudness_range` first appends 1.5 s of
silence, which adds 1 LU to a steady tone of 10 s.
"""

import numpy as np

from tonearm.audio import MAX_LOUDNESS_CHANNELS, MIN_LOUDNESS_RATE, Clip
from tonearm.frame_levels import is_sounding
from tonearm.measures.measurement import Measurement

WINDOW_SECONDS = 3.0
WINDOWS_PER_SECOND = 10
MIN_RANGE_SECONDS = 6.0
GATE_LUFS = -70.0
RELATIVE_GATE_LU = -20.0
PERCENTILES = (10, 95)

CREST_PROTOCOL = "largest absolute sample of any channel over the RMS of all"
RANGE_PROTOCOL = "loudness range, EBU Tech 3342 (3-s windows, 10 a second), pyloudnorm's K-weighting, no padding"


def measure_crest_factor(clip: Clip) -> Measurement:
    """The crest factor in dB."""
    if not is_sounding(clip):
        return Measurement("crest", None, "dB", CREST_PROTOCOL)
    samples = clip.samples.astype(np.float64)
    return Measurement(
        "crest", 20 * np.log10(np.abs(samples).max() / np.sqrt((samples**2).mean())), "dB", CREST_PROTOCOL
    )


def measure_loudness_range(clip: Clip) -> Measurement:
    """The loudness range in LU."""
    unfit = clip.seconds < MIN_RANGE_SECONDS or len(clip.samples) > MAX_LOUDNESS_CHANNELS
    if unfit or not is_sounding(clip):
        return Measurement("loudness_range", None, "LU", RANGE_PROTOCOL)
    loudness = short_term_loudness(clip)
    loudness = loudness[loudness >= GATE_LUFS]
    if not loudness.size:
        return Measurement("loudness_range", None, "LU", RANGE_PROTOCOL)
    gate = 10 * np.log10((10 ** (loudness / 10)).mean()) + RELATIVE_GATE_LU
    low, high = np.percentile(loudness[loudness >= gate], PERCENTILES)
    return Measurement("loudness_range", high - low, "LU", RANGE_PROTOCOL)


def short_term_loudness(clip: Clip) -> np.ndarray:
    """LUFS of each window of 3 s, float64 [1 + 10 (seconds - 3)], -inf for digital silence."""
    import pyloudnorm

    heard = clip if clip.sample_rate >= MIN_LOUDNESS_RATE else clip.resampled(MIN_LOUDNESS_RATE)
    meter = pyloudnorm.Meter(
        heard.sample_rate, block_size=WINDOW_SECONDS, overlap=1 - 1 / (WINDOWS_PER_SECOND * WINDOW_SECONDS)
    )
    with np.errstate(divide="ignore"):
        meter.integrated_loudness(heard.samples.T.astype(np.float64))
    return np.asarray(meter.blockwise_loudness)
