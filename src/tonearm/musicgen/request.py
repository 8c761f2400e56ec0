"""What an engine is asked for: the seam between a model and the engines that decode."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.plan import Plan
from tonearm.musicgen.sampling import Sampling

OnFrame = Callable[[int, int], None]  # frames done, frames in all


@dataclass(frozen=True)
class Request:
    """B rows of `frames` frames, those of the audio prompt [B, K, T0] included."""

    conditioning: Conditioning
    frames: int
    sampling: Sequence[Sampling]
    seeds: Sequence[int]
    plan: Plan
    prompt_codes: torch.Tensor | None = None
    shared_noise: bool = False  # draw as plain generate() does: one global generator, seeded with seeds[0]

    @property
    def prompt_frames(self) -> int:
        return 0 if self.prompt_codes is None else self.prompt_codes.shape[2]
