"""Buffers that carry out a plan: steering at one addition per layer, with strengths that can change
while decoding.

The strengths of each Intervention are kept in a buffer over all rows, written in place when they
change. Directions cover all rows too, with zeros where a row is not steered. Adding 0.0 changes
nothing, so rows and frames at strength 0 are exact. Consecutive additions at one layer are summed
once and applied as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from tonearm.backend import Site, Span, Tap
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.frame_table import FrameTable
from tonearm.steering.resolve import Intervention


class StrengthTrack:
    """Strengths of an Intervention's rows over frames, shared by all layers that it edits.

    `table` holds [n, T] over frames; `now` [R, 1] is the strength at the frame sought last.
    """

    def __init__(self, intervention: Intervention, conditioning: Conditioning, first_frame: int):
        steer, rows = intervention.steer, intervention.rows
        self.position, self.rows, self.vectors = (
            intervention.position,
            rows.tolist(),
            intervention.vectors,
        )
        self.table = FrameTable(intervention.strengths.cpu().clone())
        self.in_prefix, self.first_frame = steer.positions == "all", first_frame
        halves = []
        if steer.branch in ("both", "conditional"):
            halves.append(rows)
        if steer.branch in ("both", "unconditional") and conditioning.guided:
            halves.append(rows + conditioning.rows)
        # [R, n]: the batch row whose strength a forward row takes
        self.spread = torch.zeros(len(conditioning.states), len(rows), device=rows.device)
        for half in halves:
            self.spread[half, torch.arange(len(rows), device=rows.device)] = 1
        self.now = torch.zeros(len(conditioning.states), 1, device=rows.device)
        self._column: torch.Tensor | None = None

    def seek(self, frame: int) -> bool:
        """Set `now` to the strengths at `frame`; return whether they changed."""
        column = self.table.at(frame) * (frame >= self.first_frame)
        if self._column is not None and torch.equal(column, self._column):
            return False
        self._column = column
        torch.matmul(self.spread, column[:, None].to(self.spread), out=self.now)
        return True

    def over(self, span: Span) -> torch.Tensor:
        """Strengths [R, S, 1] at the positions of a span; the prefix gets its first frame's, or
        none.
        """
        frames = torch.tensor(list(span.code_positions), dtype=torch.int64)
        codes = self.table.over(frames) * (frames >= self.first_frame)
        first = self.table.at(span.first)[:, None]
        prefix = first.expand(-1, span.prefix) * float(self.in_prefix)
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


Part = tuple[
    int, int
]  # index of an intervention in the plan, index of a direction in the intervention


class SteeringBuffers:
    """The taps that carry out a plan on rows [conditional..., unconditional...]; `seek` before each
    step.
    """

    def __init__(
        self,
        plan: Sequence[Intervention],
        conditioning: Conditioning,
        prompt_frames: int,
        dtype: torch.dtype,
    ):
        self.tracks = [
            StrengthTrack(
                one, conditioning, prompt_frames if one.steer.positions == "generated" else 0
            )
            for one in plan
        ]
        operations: dict[Part, Operation] = {}
        parts_at: dict[tuple[Site, int], list[Part]] = {}
        for index, intervention in enumerate(plan):
            for which, directions in enumerate(intervention.directions):
                spread = _over_all_rows(directions, intervention.rows, conditioning)
                operations[index, which] = Operation(intervention, self.tracks[index], spread)
            for layer, which in intervention.layers.items():
                parts_at.setdefault((intervention.site, layer), []).append((index, which))
        self._sums: dict[
            tuple[Part, ...], FusedAdd
        ] = {}  # layers that add the same share one offset
        self.taps: dict[tuple[Site, int], list[Tap]] = {
            place: self._fused(parts, operations, dtype) for place, parts in parts_at.items()
        }
        self._sums_of = [
            [
                total
                for parts, total in self._sums.items()
                if any(part[0] == index for part in parts)
            ]
            for index in range(len(plan))
        ]

    def _fused(
        self, parts: Sequence[Part], operations: Mapping[Part, Operation], dtype: torch.dtype
    ) -> list[Tap]:
        fused: list[Tap] = []
        for adds, group in groupby(
            parts, key=lambda part: operations[part].intervention.steer.operator == "add"
        ):
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

    def hold_after(self, lengths: Sequence[int]) -> None:
        """Keep each batch row's strengths at its last frame for all frames after it."""
        for track in self.tracks:
            track.table.hold_after([lengths[row] for row in track.rows])

    def set_strength(self, position: int, strength: float, frame: int) -> None:
        """Set the strength of the steer at `position` in its list, in all rows, from `frame` on."""
        for track in self.tracks:
            if track.position == position:
                for index in range(len(track.rows)):
                    track.table.set_from(index, frame, strength)

    def strengths(self, row: int, position: int) -> list[float]:
        """Strengths of the steer at `position` in a row's list, frame by frame, as they were set."""
        track = next(t for t in self.tracks if t.position == position and row in t.rows)
        return track.table.values[track.rows.index(row)].tolist()


def _over_all_rows(
    directions: torch.Tensor, rows: torch.Tensor, conditioning: Conditioning
) -> torch.Tensor:
    """Directions [n, D] of `rows` -> [R, D], zeros for rows that are not steered."""
    spread = torch.zeros(len(conditioning.states), directions.shape[-1], device=rows.device)
    spread[rows] = directions
    if conditioning.guided:
        spread[rows + conditioning.rows] = directions
    return spread
