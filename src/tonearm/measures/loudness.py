"""Integrated loudness in LUFS.

Source: ITU-R BS.1770-4.

Conventions: all channels, gated at -70 LUFS and at 10 LU below the mean. None for silence, for
clips shorter than 0.4 s (one gating block) and for more than five channels.

Estimator: pyloudnorm, through `Clip.loudness`.
"""

from tonearm.audio import MIN_LOUDNESS_SECONDS, Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement


def estimate_loudness(analysis: ClipAnalysis) -> float | None:
    if analysis.clip.seconds < MIN_LOUDNESS_SECONDS:
        return None
    return analysis.metered.loudness


LOUDNESS = Measure(
    "loudness", "LUFS", "integrated loudness, ITU-R BS.1770-4, pyloudnorm", estimate_loudness
)


def measure_loudness(clip: Clip) -> Measurement:
    """Measure the integrated loudness in LUFS."""
    return LOUDNESS.of(clip)
