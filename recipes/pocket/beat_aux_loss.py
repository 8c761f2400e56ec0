"""A second thing to learn while the decoder trains, and to throw away after it: where in the music each frame stands.

The codes teach time late: for thousands of steps a decoder gains more from what sounds than from when (LOG.md). The corpus knows the beat of every
frame, so half-way up the decoder a linear layer has to name it: how long a beat is, how many frames of this one have passed, and which of a
progression's eight it is. Every piece begins on a beat, so that all of it follows from the caption's tempo and the position, or from what is heard.
"""

import torch
import torch.nn.functional as F
from torch import nn

from recipes.pocket.compose import BEAT_LENGTHS, PROGRESSION_BEATS


class Timekeeper(nn.Module):
    """Hidden states after `layer` layers -> beat length, frames passed of the beat, beat of the progression."""

    def __init__(self, width: int, layer: int):
        super().__init__()
        self.layer = layer
        self.norm = nn.LayerNorm(width)
        self.parts = [len(BEAT_LENGTHS), max(BEAT_LENGTHS), PROGRESSION_BEATS]
        self.name = nn.Linear(width, sum(self.parts))

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[B, S, width] -> logits, [B, S, classes] each."""
        return self.name(self.norm(hidden)).split(self.parts, -1)

    def losses(self, hidden: torch.Tensor, frames: torch.Tensor, beat_frames: torch.Tensor) -> torch.Tensor:
        """Cross-entropy in nats of each of the three, [3]; frames [B, S] of the piece, negative where it has not begun; beat_frames [B]."""
        truth = place(frames, beat_frames)
        return torch.stack([
            F.cross_entropy(logits.flatten(0, 1).float(), named.flatten(), ignore_index=-1)
            for logits, named in zip(self(hidden), truth, strict=True)
        ])  # fmt: skip


def place(frames: torch.Tensor, beat_frames: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where frames [B, S] of pieces stand: index of the beat's length, frames passed of the beat, beat of the progression; -1 before the piece."""
    lengths = torch.tensor(BEAT_LENGTHS, device=beat_frames.device)
    length = torch.searchsorted(lengths, beat_frames)[:, None].expand_as(frames)
    beat = torch.div(frames, beat_frames[:, None], rounding_mode="floor")
    passed = frames - beat * beat_frames[:, None]
    return tuple(truth.masked_fill(frames < 0, -1) for truth in (length, passed, beat % PROGRESSION_BEATS))
