"""Buffers that carry out a plan: steering at one addition per layer, with strengths that can change while decoding.

The strengths of each Intervention are kept in a buffer over all rows, written in place when they change. Directions cover all rows
too, with zeros where a row is not steered. Adding 0.0 changes nothing, so rows and frames at strength 0 are exact. Consecutive
additions at one layer are summed once and applied as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.hooks import Span, Tap
from tonearm.steering.resolve import Intervention, Plan
from tonearm.steering.vector import Site


class StrengthTrack:
    """The strengths of an Intervention's rows over frames, shared by all layers that it edits.

    table [n, T] over frames, the last column held for later frames; `now` [R, 1] is the strength at the frame sought last.
    """

    def __init__(self, intervention: Intervention, conditioning: Conditioning, first_frame: int):
        steer = intervention.steer
        self.position, self.rows = intervention.position, intervention.rows.tolist()
        self.table = intervention.strengths.cpu().clone()
        self.in_prefix, self.first_frame = steer.positions == "all", first_frame
        device, all_rows = intervention.rows.device, len(conditioning.states)
        halves = []
        if steer.branch in ("both", "conditional"):
            halves.append(intervention.rows)
        if steer.branch in ("both", "unconditional") and conditioning.guided:
            halves.append(intervention.rows + conditioning.rows)
        self.spread = torch.zeros(all_rows, len(self.rows), device=device)  # [R, n]: whose strength a row takes
        for rows in halves:
            self.spread[rows, torch.arange(len(self.rows), device=device)] = 1
        self.now = torch.zeros(all_rows, 1, device=device)
        self._column: torch.Tensor | None = None

    def seek(self, frame: int) -> bool:
        """Set `now` to the strengths at `frame`; return whether they changed."""
        column = self.table[:, min(frame, self.table.shape[1] - 1)] * (frame >= self.first_frame)
        if self._column is not None and torch.equal(column, self._column):
            return False
        self._column = column
        torch.matmul(self.spread, column[:, None].to(self.spread), out=self.now)
        return True

    def set_strength(self, row: int, strength: float, frame: int) -> None:
        """Set a row's strength from `frame` on."""
        self.table[self.rows.index(row), frame:] = strength

    def over(self, span: Span) -> torch.Tensor:
        """[R, S, 1]: the strengths at each position of a span; the prefix gets those of its first frame, or none."""
        frames = torch.tensor(list(span.code_positions), dtype=torch.int64)
        codes = self.table[:, frames.clamp(max=self.table.shape[1] - 1)] * (frames >= self.first_frame)
        prefix = self.table[:, span.first, None].expand(-1, span.prefix) * float(self.in_prefix)
        return (self.spread @ torch.cat([prefix, codes], dim=1).to(self.spread))[..., None]


@dataclass(frozen=True)
class Operation:
    """One Intervention at one layer, its directions [R, D] over all rows."""

    intervention: Intervention
    track: StrengthTrack
    directions: torch.Tensor

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor:
        return self.apply(h, self.track.now[:, None] if span.length == 1 else self.track.over(span))

    def apply(self, h: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """h [R, S, D], strength [R, S, 1]."""
        return self.intervention.apply(h, self.directions[:, None], strength)


class FusedAdd:
    """Consecutive additions at one layer: one offset [R, 1, D] for all of them."""

    def __init__(self, operations: Sequence[Operation], dtype: torch.dtype):
        self.operations = operations
        self.offset = torch.zeros_like(operations[0].directions, dtype=dtype)[:, None]

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor:
        if span.length == 1:
            return h + self.offset
        for operation in self.operations:
            h = operation.apply(h, operation.track.over(span))
        return h

    def refresh(self) -> None:
        total = torch.zeros_like(self.operations[0].directions)
        for operation in self.operations:
            total.addcmul_(operation.track.now, operation.directions)
        self.offset.copy_(total[:, None])


Part = tuple[int, int]  # index of an intervention in the plan, index of a direction in the intervention


class SteeringBuffers:
    """The taps that carry out a plan on rows [conditional..., unconditional...]; `seek` before each step."""

    def __init__(self, plan: Plan, conditioning: Conditioning, prompt_frames: int, dtype: torch.dtype):
        self.tracks = [
            StrengthTrack(one, conditioning, prompt_frames if one.steer.positions == "generated" else 0) for one in plan
        ]
        operations: dict[Part, Operation] = {}
        parts_at: dict[tuple[Site, int], list[Part]] = {}
        for index, intervention in enumerate(plan):
            for which, directions in enumerate(intervention.directions):
                spread = _over_all_rows(directions, intervention.rows, conditioning)
                operations[index, which] = Operation(intervention, self.tracks[index], spread)
            for layer, which in intervention.layers.items():
                parts_at.setdefault((intervention.site, layer), []).append((index, which))
        self._sums: dict[tuple[Part, ...], FusedAdd] = {}  # layers that add the same share one offset
        self.taps: dict[tuple[Site, int], list[Tap]] = {
            place: self._fused(parts, operations, dtype) for place, parts in parts_at.items()
        }
        self._sums_of = [
            [total for parts, total in self._sums.items() if any(part[0] == index for part in parts)]
            for index in range(len(plan))
        ]

    def _fused(self, parts: Sequence[Part], operations: Mapping[Part, Operation], dtype: torch.dtype) -> list[Tap]:
        fused: list[Tap] = []
        for adds, group in groupby(parts, key=lambda part: operations[part].intervention.steer.operator == "add"):
            run = tuple(group)
            if not adds:
                fused += [operations[part] for part in run]
                continue
            if run not in self._sums:
                self._sums[run] = FusedAdd([operations[part] for part in run], dtype)
            fused.append(self._sums[run])
        return fused

    def seek(self, frame: int) -> None:
        """Set all strengths to those of code position `frame`."""
        changed = [index for index, track in enumerate(self.tracks) if track.seek(frame)]
        for total in dict.fromkeys(total for index in changed for total in self._sums_of[index]):
            total.refresh()

    def set_strength(self, row: int, position: int, strength: float, frame: int) -> None:
        """Set the strength of the steer at `position` in a row's list, from `frame` on."""
        for track in self._tracks_of(row, position):
            track.set_strength(row, strength, frame)

    def strengths(self, row: int, position: int) -> list[float]:
        """The strengths of the steer at `position` in a row's list, frame by frame, as they were set."""
        track = self._tracks_of(row, position)[0]
        return track.table[track.rows.index(row)].tolist()

    def _tracks_of(self, row: int, position: int) -> list[StrengthTrack]:
        return [track for track in self.tracks if track.position == position and row in track.rows]


def _over_all_rows(directions: torch.Tensor, rows: torch.Tensor, conditioning: Conditioning) -> torch.Tensor:
    """Directions [n, D] of `rows` -> [R, D], zeros for rows that are not steered."""
    spread = torch.zeros(len(conditioning.states), directions.shape[-1], device=rows.device)
    spread[rows] = directions
    if conditioning.guided:
        spread[rows + conditioning.rows] = directions
    return spread
