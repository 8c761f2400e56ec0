"""What an engine is asked for: the seam between a model and the engines that decode."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.sampling import Sampling
from tonearm.steering.resolve import Plan

OnFrame = Callable[[int, int], None]  # frames done, frames in all


@dataclass(frozen=True)
class DecodeRequest:
    """B rows of `frames` frames, those of the audio prompt [B, K, T0] included.

    What is longer than `window` is decoded window by window, each of which begins with the last `overlap` frames of the one before, as if
    they were an audio prompt (Copet et al.'s extended generation); `later` holds the conditioning of the windows after the first, where it differs.
    """

    conditioning: Conditioning
    frames: int
    sampling: Sequence[Sampling]
    seeds: Sequence[int]
    plan: Plan
    prompt_codes: torch.Tensor | None = None
    shared_noise: bool = False  # draw as plain generate() does: one global generator, seeded with seeds[0]
    lengths: Sequence[int] | None = None  # frames of each row, where rows differ
    guidance: torch.Tensor | None = None  # [B, frames], where it moves with time; else it is the rows' sampling's
    window: int | None = None
    overlap: int = 0
    later: Sequence[Conditioning] = ()

    @property
    def prompt_frames(self) -> int:
        return 0 if self.prompt_codes is None else self.prompt_codes.shape[2]

    @property
    def windows(self) -> list[range]:
        """The frames of each window, those it begins with included."""
        size = self.window or self.frames
        found = [range(min(size, self.frames))]
        while found[-1].stop < self.frames:
            first = found[-1].stop - self.overlap
            found.append(range(first, min(first + size, self.frames)))
        return found

    def conditioning_of(self, window: int) -> Conditioning:
        return self.later[window - 1] if window and self.later else self.conditioning
