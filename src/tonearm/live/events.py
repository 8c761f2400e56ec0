"""Events of a session, as its subscribers receive them.

Shapes: C channels; m samples of a block.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tonearm.live.state import SessionState


@dataclass(frozen=True)
class AudioBlock:
    """Next piece of output.

    run      number of the run that it belongs to; a run begins with every start of sound
    first    position of its first sample
    steered  float32 [C, m]
    plain    float32 [C, m], of the same prompt, seed and noise without vectors
    """

    run: int
    first: int
    steered: np.ndarray
    plain: np.ndarray

    @property
    def stop(self) -> int:
        """Position of the sample after the last one."""
        return self.first + self.steered.shape[1]


@dataclass(frozen=True)
class Applied:
    """A control that took effect.

    sequence  number of the control in this session, from 1
    target    of the control
    value     as it was set
    origin    name of the client that sent it
    frame     of the performance; None where none took it, and the value, or a newer one, counts from
              the next start or fork
    sample    position at which it sounds first; None likewise
    """

    sequence: int
    target: str
    value: float
    origin: str = ""
    frame: int | None = None
    sample: int | None = None


@dataclass(frozen=True)
class PromptApplied:
    """A new prompt that took effect at a frame, which sounds first at a position."""

    text: str
    frame: int
    sample: int


@dataclass(frozen=True)
class StateChanged:
    """The state after a change."""

    state: SessionState


@dataclass(frozen=True)
class Notice:
    """A message for the person who plays, such as the reason of a stop."""

    text: str
    level: Literal["info", "warning", "error"] = "info"


@dataclass(frozen=True)
class Reading:
    """Measurements of one of the two streams over the last seconds; None where not defined.

    tempo     BPM
    centroid  spectral centroid, Hz
    loudness  LUFS
    """

    tempo: float | None
    centroid: float | None
    loudness: float | None


@dataclass(frozen=True)
class Meters:
    """Measurements of both streams.

    sample   position of the end of the measured audio
    seconds  that were measured
    steered  of the steered stream
    plain    of the plain one
    """

    sample: int
    seconds: float
    steered: Reading
    plain: Reading


Event = AudioBlock | Applied | PromptApplied | StateChanged | Notice | Meters
Subscriber = Callable[[Event], None]
"""Called from the session's threads; must return at once and raise nothing."""
