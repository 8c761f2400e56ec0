"""Settings that a stream was played with, for its takes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from tonearm.generation.prepare import PreparedRequest, PreparedSection
from tonearm.generation.provenance import TextRecord
from tonearm.musicgen.sampling import Sampling
from tonearm.steering.spec import Steering


@dataclass(frozen=True)
class PlayedSection:
    """Prompt from a frame on, and how its texts were encoded."""

    frame: int
    prompt: str
    texts: TextRecord


@dataclass(frozen=True)
class Played:
    """Settings that a stream was played with.

    steering   of the steered row, changes written as schedules
    sampling   likewise
    sections   prompts in order of time; the first begins at frame 0
    frames     length, audio prompt included
    allocated  length for which caches were allocated, in a stream without a given length
    acted      strengths of the monitored steers as they acted, float32 [frames], by position
    rewinds    frames from which the stream was decided again
    """

    steering: Steering
    sampling: Sampling
    sections: tuple[PlayedSection, ...]
    frames: int
    allocated: int
    acted: Mapping[int, torch.Tensor]
    rewinds: tuple[int, ...] = ()


def as_played(row: PreparedRequest, played: Played) -> PreparedRequest:
    """A row of a stream with the sampling, prompts and length that it was played with."""
    first, *later = played.sections
    return replace(
        row,
        request=replace(row.request, prompt=first.prompt),
        sampling=played.sampling,
        frames=played.frames,
        text_tokens=first.texts.text_tokens,
        sections=tuple(
            PreparedSection(one.frame, one.prompt, one.texts.text_tokens) for one in later
        ),
    )
