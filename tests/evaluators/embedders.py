"""Embedders with known rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tonearm.audio import Clip


@dataclass
class Statistics:
    """Mean, RMS and zero crossings of a clip; `calls` counts the clips of each call."""

    name: str = "statistics"
    windows: str = "whole clip"
    fingerprint: str = "one"
    calls: list[int] = field(default_factory=list)

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        self.calls.append(len(clips))
        monos = [clip.mono.astype(np.float64) for clip in clips]
        rows = [
            (mono.mean(), (mono**2).mean() ** 0.5, (np.diff(np.sign(mono)) != 0).mean())
            for mono in monos
        ]
        return np.array(rows, dtype=np.float32)
