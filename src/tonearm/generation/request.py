"""Requests for takes."""

import os
from dataclasses import dataclass, field

from tonearm.audio import Clip
from tonearm.musicgen.sampling import Sampling
from tonearm.steering.spec import Steering

AudioLike = Clip | str | os.PathLike[str]


@dataclass(frozen=True)
class TakeRequest:
    """One take to be generated; requests of one batch may differ in all of it.

    prompt         the music in words
    seed           of the sampling noise
    steering       default: none
    sampling       default: the checkpoint's own
    negative       words to steer away from, in place of guidance's empty prompt
    seconds        of new music
    continue_from  audio prompt: a clip or a file
    melody         a clip or a file to follow (melody checkpoints)
    """

    prompt: str
    seed: int
    steering: Steering = field(default_factory=Steering)
    sampling: Sampling | None = None
    negative: str | None = None
    seconds: float = 10.0
    continue_from: AudioLike | None = None
    melody: AudioLike | None = None
