"""Closed loop of a monitored steer in the reference engine: readings by frame, and factors computed
from them when a frame is reached. `generate()` may run its first call twice.

Shapes: n batch rows of the intervention; M heads; R forward rows, the conditional ones first; S
positions of a call; D width.
"""

import torch

from tonearm.backend import Span
from tonearm.steering.intervention import Intervention
from tonearm.steering.monitor import probabilities
from tonearm.steering.monitoring import factor, is_acting, presence


class ReferenceMonitor:
    """Readings and factors of one intervention.

    Args:
        intervention: of a monitored steer.
        first_frame: first generated frame.
    """

    def __init__(self, intervention: Intervention, first_frame: int):
        assert intervention.monitors is not None and intervention.steer.monitor is not None
        self.intervention, self.monitors = intervention, intervention.monitors
        self.settings, self.first_frame = intervention.steer.monitor, first_frame
        self.last_frame = intervention.strengths.shape[1] - 1
        self.rows = intervention.rows.tolist()
        self.readings: dict[int, torch.Tensor] = {}  # [n, M]
        self._states: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # acting and factor, [n]

    def read(self, layer: int, h: torch.Tensor, span: Span) -> None:
        """Read the heads of a layer at the last position of a call, from its outputs h [R, S, D]."""
        frame = span.code_positions[-1]
        if not self.first_frame <= frame <= self.last_frame:
            return
        monitors = self.monitors
        found = self.readings.setdefault(frame, torch.zeros_like(monitors.biases))
        size = monitors.weights.shape[-1]
        for index, row in enumerate(self.rows):
            for probe in torch.nonzero(monitors.layers[index] == layer)[:, 0].tolist():
                first = int(monitors.heads[index, probe]) * size
                found[index, probe] = probabilities(
                    h[row, -1, first : first + size],
                    monitors.weights[index, probe],
                    monitors.biases[index, probe],
                )

    def over(self, span: Span) -> torch.Tensor:
        """Factors at the positions of a call, [n, S]; 0 in the prefix and the audio prompt."""
        nothing = torch.zeros_like(self.monitors.thresholds)
        frames = [min(frame, self.last_frame) for frame in span.code_positions]
        codes = [self.at(frame) if frame >= self.first_frame else nothing for frame in frames]
        return torch.stack([nothing] * span.prefix + codes, dim=1)

    def at(self, frame: int) -> torch.Tensor:
        """Factors at a generated frame, [n]."""
        for one in range(self.first_frame + len(self._states), frame + 1):
            self._states[one] = self._state(one)
        return self._states[frame][1]

    def acted(self, row: int, frames: int) -> torch.Tensor:
        """Strengths of a batch row at the first frames as they acted, float32 [frames], CPU."""
        index, found = self.rows.index(row), torch.zeros(frames)
        for frame in range(self.first_frame, frames):
            factor_there = self.at(frame)[index]
            found[frame] = self.intervention.strengths[index, frame] * factor_there
        return found

    def _state(self, frame: int) -> tuple[torch.Tensor, torch.Tensor]:
        settings, thresholds = self.settings, self.monitors.thresholds
        acting = torch.ones_like(thresholds, dtype=torch.bool)
        present = torch.zeros_like(thresholds)
        if frame > self.first_frame:
            present = presence(self.readings[frame - 1], self.intervention.strengths[:, frame])
            acting = is_acting(present, self._states[frame - 1][0], thresholds, settings.hysteresis)
        found = factor(present, acting, settings.delta)
        is_due = (frame - self.first_frame) % settings.every == 0
        return acting, found if is_due else torch.zeros_like(found)
