"""Silence: the share of the duration below -60 dBFS.

Conventions: RMS of frames of 50 ms, mono mix (`tonearm.frame_levels`); 1 for a clip without
samples.
"""

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement


def estimate_silence(analysis: ClipAnalysis) -> float:
    return analysis.levels.silent_share


SILENCE = Measure("silence", "share", "50-ms frames below -60 dBFS RMS, mono mix", estimate_silence)


def measure_silence(clip: Clip) -> Measurement:
    """Measure the share of the duration that is silent."""
    return SILENCE.of(clip)
