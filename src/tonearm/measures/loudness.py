"""Loudness: integrated loudness in LUFS, and the sample peak in dBFS.

Aim: whether a clip is quieter or louder than another, and how much room it leaves below full scale.

Conventions: loudness after ITU-R BS.1770-4, all channels, gated at -70 LUFS and 10 LU below the mean; None for silence
and for clips under 0.4 s (one gating block). Peak is the largest |sample| of any channel, 0 dBFS = 1.0, not
oversampled; None for digital silence.

Estimator: pyloudnorm (through `Clip.loudness`); numpy.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.measurement import Measurement

LOUDNESS_PROTOCOL = "integrated loudness, ITU-R BS.1770-4, pyloudnorm"
PEAK_PROTOCOL = "largest absolute sample of any channel, 0 dBFS = 1.0"


def measure_loudness(clip: Clip) -> Measurement:
    """Integrated loudness in LUFS."""
    return Measurement("loudness", clip.loudness, "LUFS", LOUDNESS_PROTOCOL)


def measure_peak(clip: Clip) -> Measurement:
    """The sample peak in dBFS."""
    with np.errstate(divide="ignore"):
        peak = 20 * np.log10(np.abs(clip.samples).max(initial=0.0))
    return Measurement("peak", peak, "dBFS", PEAK_PROTOCOL)
