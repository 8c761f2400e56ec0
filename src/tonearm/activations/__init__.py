"""Prompts -> activations."""

from tonearm.activations.capture import POOLINGS, CaptureSpec, Pooling, capture_moments, capture_rows, hash_of
from tonearm.activations.moments import RunningMoments

__all__ = ["POOLINGS", "CaptureSpec", "Pooling", "RunningMoments", "capture_moments", "capture_rows", "hash_of"]
