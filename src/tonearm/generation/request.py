"""Requests for takes."""

import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.generation.take import Take
from tonearm.musicgen.sampling import Sampling
from tonearm.steering.spec import Steering

AudioLike = Clip | Take | str | os.PathLike[str] | tuple[Any, int]
"""A clip, a take, a file, or (samples [C, N] or [N], sample rate)."""


class PromptSection(NamedTuple):
    """A prompt that holds from `seconds` into the clip on, until the next one begins."""

    seconds: float
    prompt: str


@dataclass(frozen=True)
class TakeRequest:
    """One take to be generated; requests of one batch may differ in all of it.

    prompt         the music in words
    seed           of the sampling noise
    steering       default: none
    sampling       default: the checkpoint's own
    negative       words to steer away from, in place of guidance's empty prompt
    seconds        of new music
    continue_from  audio prompt: a clip, a take, a file, or (samples, sample rate)
    melody         likewise, to follow (melody checkpoints)
    sections       further prompts, as (seconds, prompt) in order of time; times count from the
                   start of the clip, audio prompt included

    Raises:
        TonearmError: an argument of a wrong type.
    """

    prompt: str
    seed: int
    steering: Steering = field(default_factory=Steering)
    sampling: Sampling | None = None
    negative: str | None = None
    seconds: float = 10.0
    continue_from: AudioLike | None = None
    melody: AudioLike | None = None
    sections: tuple[PromptSection, ...] = ()

    def __post_init__(self) -> None:
        checked = dict(
            prompt=boundary.text(self.prompt, "prompt"),
            seed=boundary.integer(self.seed, "seed"),
            steering=boundary.instance(self.steering, "steering", Steering, "a Steering"),
            sampling=boundary.optional(_sampling, self.sampling, "sampling"),
            negative=boundary.optional(boundary.text, self.negative, "negative"),
            seconds=boundary.number(self.seconds, "seconds"),
            continue_from=boundary.optional(audio_source, self.continue_from, "continue_from"),
            melody=boundary.optional(audio_source, self.melody, "melody"),
            sections=prompt_sections(self.sections, "sections"),
        )
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def prompt_sections(value: object, name: str) -> tuple[PromptSection, ...]:
    """Return sections given as pairs of seconds and prompt.

    Args:
        value: a sequence of pairs.
        name: of the argument.

    Raises:
        TonearmError: another type.
    """
    allowed = "a list of (seconds, prompt)"
    return tuple(boundary.sequence(value, name, _prompt_section, allowed))


def _prompt_section(value: object, name: str) -> PromptSection:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise boundary.refusal(value, name, "(seconds, prompt)")
    seconds, prompt = value
    return PromptSection(boundary.number(seconds, name), boundary.text(prompt, name))


def audio_source(value: object, name: str) -> Clip | str:
    """Return a clip or the path of a file for any form of audio.

    Args:
        value: see `AudioLike`.
        name: of the argument.

    Raises:
        TonearmError: another type.
    """
    if isinstance(value, Clip):
        return value
    if isinstance(value, Take):
        return value.clip
    if isinstance(value, tuple) and len(value) == 2:
        return _clip(*value)
    if isinstance(value, str | os.PathLike):
        return boundary.path(value, name)
    allowed = "a path, a Clip, a Take, or (samples, sample rate)"
    raise boundary.refusal(value, name, allowed)


def _clip(samples: Any, sample_rate: Any) -> Clip:
    if hasattr(samples, "detach"):  # a tensor, perhaps of another device
        samples = samples.detach().cpu().numpy()
    return Clip(samples, sample_rate)


def _sampling(value: object, name: str) -> Sampling:
    return boundary.instance(value, name, Sampling, "a Sampling, as Model.sampling makes it")
