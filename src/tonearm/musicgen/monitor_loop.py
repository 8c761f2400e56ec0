"""Closed loop of a monitored steer while decoding (tonearm/steering/monitoring.py).

Taps at the monitored layers write the probabilities of the probes into a buffer, in captured steps
too. `seek`, between the steps, turns them into the factor of the strength; no value leaves the
device, so that the host never waits.

Shapes: n batch rows of the intervention; M heads; H heads of a layer; R forward rows, the
conditional ones first; S positions of a call; D width.
"""

from collections.abc import Sequence

import torch

from tonearm.backend import Span
from tonearm.musicgen.cuda_graphs import Keep
from tonearm.steering.intervention import Intervention
from tonearm.steering.monitor import probabilities
from tonearm.steering.monitoring import factor, is_acting, presence

ENDLESS = 2**62  # end of a row without a given length


class MonitorLoop:
    """State of the loop, and its factors at all frames so far.

    `frame` is the one sought last; `factors` [n, T] holds those up to it.

    Args:
        intervention: of a monitored steer.
        first_frame: first generated frame.
    """

    def __init__(self, intervention: Intervention, first_frame: int):
        steer, monitors = intervention.steer, intervention.monitors
        assert steer.monitor is not None and monitors is not None
        self.settings, self.first_frame = steer.monitor, first_frame
        self.thresholds = monitors.thresholds
        self.probes = HeadProbes(intervention)
        device = intervention.rows.device
        self.acting = torch.ones(len(intervention.rows), dtype=torch.bool, device=device)
        self.present = torch.zeros(len(intervention.rows), device=device)
        self.ends = torch.full((len(intervention.rows),), ENDLESS, device=device)
        self.factors = torch.zeros_like(intervention.strengths)
        self.frame: int | None = None
        self._readings: torch.Tensor | None = None  # at that frame

    def seek(self, frame: int, strengths: torch.Tensor) -> torch.Tensor:
        """Move on to a frame; further calls at one frame change nothing.

        Args:
            frame: the one after the last, or the same.
            strengths: at the frame, [n].

        Returns:
            Factors at the frame, [n].
        """
        self.keep_readings()
        if frame != self.frame:
            self._advance(frame, strengths)
        return self.factors[:, frame]

    def keep_readings(self) -> None:
        """Keep the readings of the first call at the frame sought last; those of further calls, and
        of decodings that take over the tensors of captured steps, do not count.
        """
        if self.frame is not None and self._readings is None:
            self._readings = self.probes.readings.clone()

    def may_change(self, frame: int) -> bool:
        """Whether the factors at a frame can differ from those at the frame before."""
        return (frame - self.first_frame) % self.settings.every <= 1

    def over(self, frames: torch.Tensor) -> torch.Tensor:
        """Factors at frames up to the one sought last (int64 [S]), [n, S]."""
        return self.factors[:, frames.clamp(max=self.factors.shape[1] - 1)]

    def hold_after(self, lengths: Sequence[int]) -> None:
        """Keep each row's factor at its last frame for all frames after it."""
        self.ends = torch.tensor(lengths, device=self.ends.device)

    def _advance(self, frame: int, strengths: torch.Tensor) -> None:
        settings = self.settings
        if self._readings is not None:
            self.present = presence(self._readings, strengths)
            self.acting = is_acting(self.present, self.acting, self.thresholds, settings.hysteresis)
        found = factor(self.present, self.acting, settings.delta)
        if (frame - self.first_frame) % settings.every:
            found = torch.zeros_like(found)
        known = self.factors.shape[1]
        if frame >= known:
            more = max(frame + 1, 2 * known) - known
            self.factors = torch.nn.functional.pad(self.factors, (0, more))
        before = self.factors[:, max(0, frame - 1)]
        self.factors[:, frame] = torch.where(frame < self.ends, found, before)
        self.frame, self._readings = frame, None


class HeadProbes:
    """Probes of the monitored heads of n batch rows, and their probabilities `readings` [n, M].

    Args:
        intervention: with the monitors of its rows.
    """

    def __init__(self, intervention: Intervention):
        assert intervention.monitors is not None
        self.intervention, self.monitors = intervention, intervention.monitors
        self.all_layers = self.monitors.all_layers
        self.readings = torch.zeros_like(self.monitors.biases)
        self.rows, self.layers, self.heads, self.weights, self.biases = self._values()

    @property
    def size(self) -> tuple[int, int]:
        """n and M, which captured steps depend on."""
        return self.readings.shape[0], self.readings.shape[1]

    def place(self, keep: Keep, name: str) -> None:
        """Move the tensors to where captured steps read and write them."""
        self.readings = keep(f"{name}, readings", torch.zeros_like(self.monitors.biases))
        kept = (keep(f"{name}, {index}", value) for index, value in enumerate(self._values()))
        self.rows, self.layers, self.heads, self.weights, self.biases = kept

    def _values(self) -> tuple[torch.Tensor, ...]:
        """Rows, and layers, heads, weights and biases of their monitors."""
        monitors = self.monitors
        return (
            self.intervention.rows,
            monitors.layers,
            monitors.heads,
            monitors.weights,
            monitors.biases,
        )

    def read(self, layer: int, h: torch.Tensor) -> None:
        """Write the probabilities of the heads of a layer, from its outputs h [R, S, D]."""
        size = self.weights.shape[-1]
        outputs = h[:, -1].index_select(0, self.rows).unflatten(-1, (-1, size))  # [n, H, d]
        chosen = outputs.gather(1, self.heads[..., None].expand(-1, -1, size))  # [n, M, d]
        found = probabilities(chosen, self.weights, self.biases)
        self.readings.copy_(torch.where(self.layers == layer, found, self.readings))


class MonitorTap:
    """Tap of the probes at one layer, which changes nothing."""

    def __init__(self, probes: HeadProbes, layer: int):
        self.probes, self.layer = probes, layer

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        self.probes.read(self.layer, h)
