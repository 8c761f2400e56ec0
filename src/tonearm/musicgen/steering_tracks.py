"""Values of an intervention over frames, which can change while decoding.

Captured steps read the values at the current frame from tensors, which `seek` writes in place.

Shapes: n batch rows of the intervention; R forward rows; G directions; S positions of a call; T
frames.
"""

from collections.abc import Sequence

import torch

from tonearm.backend import Span
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.cuda_graphs import Keep
from tonearm.musicgen.frame_table import FrameTable
from tonearm.musicgen.monitor_loop import MonitorLoop
from tonearm.musicgen.row_spread import RowSpread
from tonearm.musicgen.steering_gates import Gate, RandomGate
from tonearm.steering.intervention import Intervention


class LevelTrack:
    """Targets over frames, of the projection for operator set, and of the value for feature.

    `table` holds the levels [n, T] over frames; `now` [G, R, 1] is the target of each direction at
    the frame sought last.
    """

    def __init__(self, intervention: Intervention, levels: torch.Tensor, spread: RowSpread):
        self.intervention, self.spread = intervention, spread
        self.table = FrameTable(levels.cpu().clone())
        self.now = self._targets(self.table.at(0)[:, None])
        self._column: torch.Tensor | None = None

    def seek(self, frame: int) -> None:
        """Set `now` to the targets at `frame`."""
        column = self.table.at(frame)
        if self._column is None or not torch.equal(column, self._column):
            self._column = column.clone()
            self.now.copy_(self._targets(column[:, None]))

    def unset(self) -> None:
        """Make the next `seek` set the targets in any case."""
        self._column = None

    def place(self, keep: Keep, name: str) -> None:
        """Move the targets to where captured steps read them."""
        self.now = keep(f"{name}, targets", torch.zeros_like(self.now))

    def over(self, span: Span) -> torch.Tensor:
        """Targets [G, R, S] at the positions of a span; the prefix has its first frame's."""
        first = self.table.at(span.first)[:, None].expand(-1, span.prefix)
        frames = torch.tensor(list(span.code_positions), dtype=torch.int64)
        return self._targets(torch.cat([first, self.table.over(frames)], dim=1))

    def _targets(self, levels: torch.Tensor) -> torch.Tensor:
        """Targets [G, R, S] of levels [n, S]."""
        return self.spread(self.intervention.targets(levels.to(self.intervention.rows.device)))


class SteerTrack:
    """Strengths of an Intervention's rows over frames, shared by all layers that it edits.

    `table` holds them [n, T] over frames; `now` [R, 1] is the strength at the frame sought last;
    `bounds` [2] are those of the projection, for clamp; `levels` are its targets, for set; `gate`
    opens and closes the steer, if it has one; `loop` is that of its monitor.

    Args:
        intervention: whose values they are.
        conditioning: of the rows.
        first_frame: that is steered.
        seeds: of all batch rows.
    """

    def __init__(
        self,
        intervention: Intervention,
        conditioning: Conditioning,
        first_frame: int,
        seeds: Sequence[int],
    ):
        self.intervention, self.position = intervention, intervention.position
        self.rows = intervention.rows.tolist()
        self.spread = RowSpread(intervention, conditioning)
        self.table = FrameTable(intervention.strengths.cpu().clone())
        self.in_prefix, self.first_frame = intervention.steer.positions == "all", first_frame
        self.now = torch.zeros(len(conditioning.states), 1, device=intervention.rows.device)
        self.bounds = self._bounds()
        self.levels: LevelTrack | None = None
        if intervention.levels is not None:
            self.levels = LevelTrack(intervention, intervention.levels, self.spread)
        self.gate: Gate | None = None
        if intervention.steer.gate < 1:
            self.gate = RandomGate(intervention, seeds, self.spread)
        self.loop: MonitorLoop | None = None
        if intervention.monitors is not None:
            self.loop = MonitorLoop(intervention, first_frame)
        self._column: torch.Tensor | None = None
        self._values = torch.zeros(len(self.rows), device=self.now.device)  # `_column` there

    def seek(self, frame: int) -> bool:
        """Set the values to those at `frame`; return whether the strengths changed."""
        if self.levels:
            self.levels.seek(frame)
        if self.gate:
            self.gate.seek(frame)
        column = self.table.at(frame) * (frame >= self.first_frame)
        is_new = self._column is None or not torch.equal(column, self._column)
        if is_new:
            self._column, self._values = column, column.to(self.now)
        strengths = self._values
        if self.loop:
            strengths = strengths * self.loop.seek(frame, strengths)
            is_new = is_new or self.loop.may_change(frame)
        if is_new:
            self.now.copy_(self.spread(strengths[:, None]))
        return is_new

    def unset(self) -> None:
        """Make the next `seek` set the values in any case."""
        self._column = None
        if self.levels:
            self.levels.unset()

    def place(self, keep: Keep, name: str) -> None:
        """Move the tensors to where captured steps read them."""
        self.now = keep(f"{name}, now", torch.zeros_like(self.now))
        self.bounds = keep(f"{name}, bounds", self._bounds())
        if self.levels:
            self.levels.place(keep, name)
        if self.gate:
            self.gate.place(keep, name)

    def hold_after(self, lengths: Sequence[int]) -> None:
        """Keep each batch row's values at its last frame for all frames after it."""
        own = [lengths[row] for row in self.rows]
        self.table.hold_after(own)
        if self.levels:
            self.levels.table.hold_after(own)
        if self.gate:
            self.gate.hold_after(own)
        if self.loop:
            self.loop.hold_after(own)

    def strengths(self, span: Span) -> torch.Tensor:
        """Strengths [R, S, 1] at the positions of a span; the prefix has its first frame's, or
        none.
        """
        if span.length == 1:
            return self.now[:, None]
        frames = torch.tensor(list(span.code_positions), dtype=torch.int64)
        codes = self.table.over(frames) * (frames >= self.first_frame)
        first = self.table.at(span.first)[:, None]
        prefix = first.expand(-1, span.prefix) * float(self.in_prefix)
        values = torch.cat([prefix, codes], dim=1).to(self.now)
        if self.loop:
            values[:, span.prefix :] *= self.loop.over(frames.to(values.device))
        return self.spread(values)[..., None]

    def acted(self, row: int, frames: int) -> torch.Tensor:
        """Strengths of a batch row's monitored steer at the first frames, as they acted, float32
        [frames] on the CPU.
        """
        assert self.loop is not None
        index, counted = self.rows.index(row), torch.arange(frames)
        strengths = self.table.over(counted)[index] * (counted >= self.first_frame)
        return strengths * self.loop.over(counted.to(self.now.device))[index].cpu()

    def targets(self, part: int, span: Span) -> torch.Tensor | None:
        """Targets [R, S, 1] on a direction; None for a steer without a level."""
        if self.levels is None:
            return None
        found = self.levels.now if span.length == 1 else self.levels.over(span)
        return found[part][..., None]

    def _bounds(self) -> torch.Tensor:
        return torch.tensor(self.intervention.bounds, device=self.now.device)
