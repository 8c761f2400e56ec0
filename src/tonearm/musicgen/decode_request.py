"""Request to an engine: one batch, ready to decode."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tonearm.musicgen.conditioning import Conditioning, EncodedTexts
from tonearm.musicgen.sampling import Sampling
from tonearm.steering.intervention import Intervention
from tonearm.steering.readout import Readout

ConditioningByStart = Callable[[int], Conditioning]
"""Start of a window -> its conditioning: a melody starts where the window does."""


@dataclass(frozen=True)
class Section:
    """The frames from `frame` on, up to the next section, under texts of their own.

    The window before the section ends there, and the next one begins with known frames, as at any
    window's end.
    """

    frame: int
    texts: EncodedTexts
    conditioning: ConditioningByStart


@dataclass(frozen=True)
class DecodeRequest:
    """B rows to decode.

    conditioning   of the first window
    frames         length of the longest row, audio prompt included; None decodes until it is stopped
    sampling       settings of each row
    seeds          of each row: of its sampling noise and of its gates
    plan           interventions, in order of application
    prompt_codes   audio prompt [B, K, T0]
    shared_noise   draw as plain generate() does: one global generator, seeded with seeds[0]
    lengths        frames of each row, where rows differ
    guidance       [B, T], where it changes over time; otherwise that of `sampling`
    temperature    likewise
    window         longest clip decoded at once, in frames; a longer one is decoded window by window
    overlap        frames of the previous window at the start of the next, like an audio prompt
                   (the extended generation of Copet et al. 2023)
    later          conditioning of the window that starts at a frame, where it differs from the first
    sections       under other texts, by frame; the first begins after the audio prompt
    readouts       projections that are read while decoding, for meters
    kept_codes     codes that are not drawn, [B, K, T'], UNKNOWN elsewhere (kept_codes.py)
    """

    conditioning: Conditioning
    frames: int | None
    sampling: Sequence[Sampling]
    seeds: Sequence[int]
    plan: Sequence[Intervention]
    prompt_codes: torch.Tensor | None = None
    shared_noise: bool = False
    lengths: Sequence[int] | None = None
    guidance: torch.Tensor | None = None
    temperature: torch.Tensor | None = None
    window: int | None = None
    overlap: int = 0
    later: ConditioningByStart | None = None
    sections: Sequence[Section] = ()
    readouts: Sequence[Readout] = ()
    kept_codes: torch.Tensor | None = None

    @property
    def prompt_frames(self) -> int:
        return 0 if self.prompt_codes is None else self.prompt_codes.shape[2]

    def window_from(self, start: int, end: int | None) -> range:
        """Frames of the window at `start`, known ones included, of a clip that ends at `end`."""
        stops = [start + self.window] if self.window else []
        stops += [] if end is None else [end]
        return range(start, min(stops))

    def conditioning_from(self, start: int) -> Conditioning:
        """Conditioning of the window at `start`, before any of `sections` begins."""
        return self.later(start) if start and self.later else self.conditioning
