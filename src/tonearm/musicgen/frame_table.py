"""Values of batch rows over frames, which can be set while decoding and grow without a limit."""

from collections.abc import Sequence

import torch


class FrameTable:
    """`values` [n, T]; the last column holds for all later frames."""

    def __init__(self, values: torch.Tensor):
        self.values = values

    def at(self, frame: int) -> torch.Tensor:
        """Values at a frame, [n]."""
        return self.values[:, min(frame, self.values.shape[1] - 1)]

    def over(self, frames: torch.Tensor) -> torch.Tensor:
        """Values at several frames (int64 [S]), [n, S]."""
        return self.values[:, frames.clamp(max=self.values.shape[1] - 1)]

    def set_from(self, row: int, frame: int, value: float) -> None:
        """Set a row's value from `frame` on."""
        known = self.values.shape[1]
        if frame >= known:
            more = max(frame + 1, 2 * known) - known
            self.values = torch.cat([self.values, self.values[:, -1:].expand(-1, more)], dim=1)
        self.values[row, frame:] = value

    def hold_after(self, lengths: Sequence[int]) -> None:
        """Keep each row's value at its last frame for all frames after it."""
        for row, length in enumerate(lengths):
            if length < self.values.shape[1]:
                self.values[row, length:] = self.values[row, length - 1]
