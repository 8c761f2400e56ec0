"""Poolings of given audio: the code positions of a teacher-forced pass that become rows.

    pooling   positions                                                        rows
    last      T, from which the audio would be continued (Panda et al. 2025)    1
    first     1 + delay, which completes frame 0                                1
    mean      mean over 1 + delay .. T                                          1
    at:2,4.5  those that decide the frames at 2 s and 4.5 s                     one per time

for T frames of given audio. All of them are positions whose column has a code of every codebook
(`tonearm.musicgen.engine.whole_positions`): before and after, the delay pattern leaves BOS in some
codebooks, and the very last position of the pattern reads the last codebook alone. At `last`,
codebook 0 of all frames was read, and every codebook of all frames but the last `delay` ones. It is
the state in which generation continues an audio prompt, and where steering first acts.

The poolings of prompts (tonearm/activations/pooling.py) read music that is generated from the
prompt; their `first` is position 0, before any music.

Shapes: B examples; R forward rows; S positions of a call; n rows of an example; D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tonearm.backend import ModelShape, Span
from tonearm.errors import TonearmError
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.engine import whole_positions
from tonearm.text import quoted

AT = "at:"
NAMED = ("last", "first", "mean")


@dataclass(frozen=True)
class AudioPooling:
    """A pooling of segments of one length.

    name     such as "last" or "at:2,4.5"
    spans    code positions over which each row is the mean
    seconds  of each row within its segment; None for a mean over the segment
    """

    name: str
    spans: tuple[range, ...]
    seconds: tuple[float | None, ...]


def audio_pooling(name: str, shape: ModelShape, frames: int) -> AudioPooling:
    """Find the positions of a pooling in segments of `frames` frames.

    Args:
        name: see the table above.
        shape: of the checkpoint.
        frames: of a segment.

    Raises:
        TonearmError: an unknown pooling, or a time without a whole column.
    """
    whole = whole_positions(shape, frames)
    if name == "mean":
        return AudioPooling(name, (whole,), (None,))
    if name in NAMED:
        positions = [whole[-1] if name == "last" else whole[0]]
    elif name.startswith(AT):
        times = _times(name)
        positions = [round(time * shape.frame_rate) for time in times]
        for time, position in zip(times, positions, strict=True):
            if position not in whole:
                low, high = whole[0] / shape.frame_rate, whole[-1] / shape.frame_rate
                raise TonearmError(
                    f"pooling {quoted(name)}: {time:g} s is not possible in segments of {high:g} s; "
                    f"use {low:g} to {high:g}"
                )
    else:
        raise TonearmError(
            f"pooling {quoted(name)} is not one of audio; use {', '.join(NAMED)}, "
            f"or {AT}SECONDS, such as {AT}2,4.5"
        )
    spans = tuple(range(position, position + 1) for position in positions)
    return AudioPooling(name, spans, tuple(position / shape.frame_rate for position in positions))


def _times(name: str) -> list[float]:
    try:
        times = [float(part) for part in name.removeprefix(AT).split(",")]
        if not all(0 <= time < 1e6 for time in times) or len(set(times)) < len(times):
            raise ValueError
    except ValueError:
        raise TonearmError(
            f"pooling {quoted(name)} has no list of different seconds; "
            f"write for example {AT}2 or {AT}2,4.5"
        ) from None
    return times


class SpanPool:
    """Tap that keeps the rows of a pooling, float32 [B, n, D], of one forward pass."""

    def __init__(self, conditioning: Conditioning, spans: Sequence[range]):
        self.conditioning, self.spans = conditioning, spans
        self.rows: torch.Tensor | None = None

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        codes = self.conditioning.conditional(h)[:, span.prefix :]
        means = [codes[:, one.start : one.stop].float().mean(1) for one in self.spans]
        self.rows = torch.stack(means, dim=1)
