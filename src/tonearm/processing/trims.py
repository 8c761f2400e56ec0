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

MAX_GAIN = 40.0  # dB, of a record; `tonearm.knobs.trimming` uses far less


class Trims(Declared):
    """Trims of one take; None for one that does not act.

    stretch  rate of a time stretch: 1.05 is 5 % faster
    treble   gain in dB above about 1 kHz, by a shelving filter
    gain     in dB, of everything
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    stretch: float | None = Field(default=None, ge=MIN_RATE, le=MAX_RATE)
    treble: float | None = Field(default=None, ge=-MAX_GAIN, le=MAX_GAIN)
    gain: float | None = Field(default=None, ge=-MAX_GAIN, le=MAX_GAIN)

    def __bool__(self) -> bool:
        return any(value is not None for value in (self.stretch, self.treble, self.gain))

    def apply(self, clip: Clip) -> Clip:
        """Trim a clip."""
        if self.stretch is not None:
            clip = time_stretch(clip, self.stretch)
        if self.treble is not None:
            clip = high_shelf(clip, self.treble)
        if self.gain is not None:
            clip = Clip(
                (clip.samples * 10 ** (self.gain / 20)).astype(np.float32), clip.sample_rate
            )
        return clip

    def texts(self) -> tuple[str, ...]:
        """The trims in words."""
        found = []
        if self.stretch is not None:
            found.append(f"time stretch: {self.stretch:.3f} times as fast")
        if self.treble is not None:
            found.append(f"shelving filter: {self.treble:+.1f} dB above 1 kHz")
        if self.gain is not None:
            found.append(f"gain: {self.gain:+.1f} dB")
        return tuple(found)
