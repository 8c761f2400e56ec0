"""Capture of activations: poolings, rows, running moments."""

from tonearm.activations.capture import (
    ActivationRows,
    CaptureSpec,
    capture_moments,
    capture_rows,
)
from tonearm.activations.moments import RunningMoments
from tonearm.activations.pooling import POOLINGS

__all__ = [
    "POOLINGS",
    "ActivationRows",
    "CaptureSpec",
    "RunningMoments",
    "capture_moments",
    "capture_rows",
]
