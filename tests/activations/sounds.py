"""Recordings for tiny checkpoints."""

import numpy as np

from tonearm.audio import Clip
from tonearm.datasets.recordings import Recording

RATE = 1600  # of the tiny checkpoints


def noise_clip(seconds: float, seed: int = 0, rate: int = RATE, channels: int = 1) -> Clip:
    """Noise loud enough for the codes of the tiny random codec to vary from frame to frame."""
    rng = np.random.default_rng(seed)
    return Clip(1e4 * rng.standard_normal((channels, round(seconds * rate))), rate)


def recordings(
    count: int, seconds: float = 1.0, labels: str = "ab", channels: int = 1
) -> list[Recording]:
    """Recordings of noise, labelled in turn."""
    return [
        Recording.of_clip(
            noise_clip(seconds, seed, channels=channels), labels[seed % len(labels)], f"clip {seed}"
        )
        for seed in range(count)
    ]
