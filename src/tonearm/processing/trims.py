"""Trims: small changes of a take's audio that bring a measure to its target.

In this order: a time stretch, a shelving filter, a gain. They are recorded in the take's sidecar, so
that it replays bit for bit.
"""

import numpy as np
from pydantic import ConfigDict, Field

from tonearm.audio import Clip
from tonearm.processing.shelf import high_shelf
from tonearm.processing.time_stretch import MAX_RATE, MIN_RATE, time_stretch
from tonearm.schema import Declared

MAX_SHELF = MAX_TRIM_GAIN = 40.0  # dB, of a record; what is used is far below


class Trims(Declared):
    """Trims of one take; None for one that does not act.

    stretch  rate of a time stretch: 1.05 is 5 % faster
    shelf    gain in dB above about 1 kHz
    gain     in dB, of everything
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stretch: float | None = Field(default=None, ge=MIN_RATE, le=MAX_RATE)
    shelf: float | None = Field(default=None, ge=-MAX_SHELF, le=MAX_SHELF)
    gain: float | None = Field(default=None, ge=-MAX_TRIM_GAIN, le=MAX_TRIM_GAIN)

    def __bool__(self) -> bool:
        return any(value is not None for value in (self.stretch, self.shelf, self.gain))

    def apply(self, clip: Clip) -> Clip:
        """Trim a clip."""
        if self.stretch is not None:
            clip = time_stretch(clip, self.stretch)
        if self.shelf is not None:
            clip = high_shelf(clip, self.shelf)
        if self.gain is not None:
            clip = Clip(
                (clip.samples * 10 ** (self.gain / 20)).astype(np.float32), clip.sample_rate
            )
        return clip

    def texts(self) -> tuple[str, ...]:
        """What acts, in words."""
        found = []
        if self.stretch is not None:
            found.append(f"time stretch: {self.stretch:.3f} times as fast")
        if self.shelf is not None:
            found.append(f"shelving filter: {self.shelf:+.1f} dB above 1 kHz")
        if self.gain is not None:
            found.append(f"gain: {self.gain:+.1f} dB")
        return tuple(found)
