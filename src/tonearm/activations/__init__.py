"""Capture of activations from prompts and audio: poolings, rows, running moments, rows on disk,
scales of generated frames.
"""

from tonearm.activations.audio import AudioSpec, capture_segments
from tonearm.activations.capture import (
    ActivationRows,
    CaptureSpec,
    capture_moments,
    capture_rows,
)
from tonearm.activations.corpus import capture_recordings
from tonearm.activations.frame_scales import measure_frame_scales, measure_scales_of_several
from tonearm.activations.moments import RunningMoments
from tonearm.activations.pooling import POOLINGS
from tonearm.activations.store import ActivationStore

__all__ = [
    "POOLINGS",
    "ActivationRows",
    "ActivationStore",
    "AudioSpec",
    "CaptureSpec",
    "RunningMoments",
    "capture_moments",
    "capture_recordings",
    "capture_rows",
    "capture_segments",
    "measure_frame_scales",
    "measure_scales_of_several",
]
