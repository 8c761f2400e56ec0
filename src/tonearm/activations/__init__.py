"""Prompts -> activations."""

from tonearm.activations.capture import POOLINGS, Capture, Pooling, capture_moments, capture_rows, hash_of
from tonearm.activations.moments import RunningMoments

__all__ = ["POOLINGS", "Capture", "Pooling", "RunningMoments", "capture_moments", "capture_rows", "hash_of"]
