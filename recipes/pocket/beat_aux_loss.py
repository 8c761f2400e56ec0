"""Auxiliary loss: predict the metrical position of each frame. The head is removed after training.

Codes alone teach timing late: for thousands of steps a decoder gains more from timbre than from
timing (LOG.md). The corpus contains the beat of every frame. A linear layer half-way up the decoder
predicts the length of a beat, the frames since the last beat, and the beat of the progression (of
eight). Every piece begins on a beat, so all three follow from the tempo in the caption and the
position, or from the history.
"""

import torch
import torch.nn.functional as F
from torch import nn

from tonearm.datasets.rendering.compose import BEAT_LENGTHS, PROGRESSION_BEATS


class BeatHead(nn.Module):
    """Predict beat length, frames since the beat, and beat of the progression.

    The input are the states after `layer` layers.
    """

    def __init__(self, width: int, layer: int):
        super().__init__()
        self.layer = layer
        self.norm = nn.LayerNorm(width)
        self.parts = [len(BEAT_LENGTHS), max(BEAT_LENGTHS), PROGRESSION_BEATS]
        self.out = nn.Linear(width, sum(self.parts))

    def forward(self, hidden: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Map [B, S, width] to three tensors of logits, [B, S, classes] each."""
        return self.out(self.norm(hidden)).split(self.parts, -1)

    def losses(
        self, hidden: torch.Tensor, frames: torch.Tensor, beat_frames: torch.Tensor
    ) -> torch.Tensor:
        """Compute the cross-entropy of each prediction in nats.

        Args:
            hidden: [B, S, width].
            frames: [B, S], frame of the piece; negative before its start.
            beat_frames: [B], length of a beat in frames.

        Returns:
            [3].
        """
        targets = beat_targets(frames, beat_frames)
        return torch.stack(
            [
                F.cross_entropy(logits.flatten(0, 1).float(), target.flatten(), ignore_index=-1)
                for logits, target in zip(self(hidden), targets, strict=True)
            ]
        )


def beat_targets(
    frames: torch.Tensor, beat_frames: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the targets of frames.

    Args:
        frames: [B, S], frame of the piece; negative before its start.
        beat_frames: [B], length of a beat in frames.

    Returns:
        Index of the beat length, frames since the beat, beat of the progression; [B, S] each, -1
        before the piece.
    """
    lengths = torch.tensor(BEAT_LENGTHS, device=beat_frames.device)
    length = torch.searchsorted(lengths, beat_frames)[:, None].expand_as(frames)
    beat = torch.div(frames, beat_frames[:, None], rounding_mode="floor")
    elapsed = frames - beat * beat_frames[:, None]
    return tuple(
        target.masked_fill(frames < 0, -1) for target in (length, elapsed, beat % PROGRESSION_BEATS)
    )
