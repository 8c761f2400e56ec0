"""Buffers that carry out a plan: steering at one addition per layer, with strengths that can change
while decoding.

The strengths of each Intervention are kept in a buffer over all rows, written in place when they
change. Directions cover all rows too, with zeros where a row is not steered. Adding 0.0 changes
nothing, so rows and frames at strength 0 are exact. Consecutive additions at one layer are summed
once and applied as one.

Captured steps (cuda_graphs.py) run the taps over one position, where all values that they read are
in tensors: strengths, directions, bounds and sums. `structure` is the rest.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

import torch

from tonearm.backend import Site, Span
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.cuda_graphs import Keep
from tonearm.musicgen.frame_table import FrameTable
from tonearm.steering.resolve import Intervention

Item = TypeVar("Item")

# Settings of a steer that steps of one position read from tensors, or not at all. All others are
# captured with the step.
NOT_CAPTURED = {
    "vector",
    "amount",
    "strength",
    "schedule",
    "low",
    "high",
    "strategy",
    "source_layer",
    "layers",
    "branch",
    "positions",
}


class StrengthTrack:
    """Strengths of an Intervention's rows over frames, shared by all layers that it edits.

    `table` holds [n, T] over frames; `now` [R, 1] is the strength at the frame sought last;
    `bounds` [2] are those of the projection, for clamp.
    """

    def __init__(self, intervention: Intervention, conditioning: Conditioning, first_frame: int):
        steer, rows = intervention.steer, intervention.rows
        self.intervention, self.position = intervention, intervention.position
        self.rows = rows.tolist()
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
        self.bounds = self._bounds()
        self._column: torch.Tensor | None = None

    def seek(self, frame: int) -> bool:
        """Set `now` to the strengths at `frame`; return whether they changed."""
        column = self.table.at(frame) * (frame >= self.first_frame)
        if self._column is not None and torch.equal(column, self._column):
            return False
        self._column = column
        torch.matmul(self.spread, column[:, None].to(self.spread), out=self.now)
        return True

    def unset(self) -> None:
        """Make the next `seek` set the strengths in any case."""
        self._column = None

    def place(self, keep: Keep, name: str) -> None:
        """Move the tensors to where captured steps read them."""
        self.now = keep(f"{name}, now", torch.zeros_like(self.now))
        self.bounds = keep(f"{name}, bounds", self._bounds())

    def over(self, span: Span) -> torch.Tensor:
        """Strengths [R, S, 1] at the positions of a span; the prefix gets its first frame's, or
        none.
        """
        frames = torch.tensor(list(span.code_positions), dtype=torch.int64)
        codes = self.table.over(frames) * (frames >= self.first_frame)
        first = self.table.at(span.first)[:, None]
        prefix = first.expand(-1, span.prefix) * float(self.in_prefix)
        return (self.spread @ torch.cat([prefix, codes], dim=1).to(self.spread))[..., None]

    def _bounds(self) -> torch.Tensor:
        return torch.tensor(self.intervention.bounds, device=self.now.device)


class Operation:
    """One Intervention at one layer, its directions [R, D] over all rows.

    Args:
        track: its strengths.
        part: index of the directions among those of the intervention.
        conditioning: of the rows.
    """

    def __init__(self, track: StrengthTrack, part: int, conditioning: Conditioning):
        self.track, self.part, self.conditioning = track, part, conditioning
        self.intervention = track.intervention
        self.directions = self._over_all_rows()

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor:
        return self.apply(h, self.track.now[:, None] if span.length == 1 else self.track.over(span))

    def apply(self, h: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """h [R, S, D], strength [R, S, 1]."""
        return self.intervention.apply(h, self.directions[:, None], strength, self.track.bounds)

    def place(self, keep: Keep, name: str) -> None:
        """Move the directions to where captured steps read them."""
        self.directions = keep(name, self._over_all_rows())

    def _over_all_rows(self) -> torch.Tensor:
        """The directions [R, D], zeros for rows that are not steered."""
        directions, rows = self.intervention.directions[self.part], self.intervention.rows
        conditioning = self.conditioning
        spread = torch.zeros(len(conditioning.states), directions.shape[-1], device=rows.device)
        spread[rows] = directions
        if conditioning.guided:
            spread[rows + conditioning.rows] = directions
        return spread


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

    def place(self, keep: Keep, name: str) -> None:
        """Move the offset to where captured steps read it; `refresh` sets it."""
        self.offset = keep(name, torch.zeros_like(self.offset))


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
            for which in range(len(intervention.directions)):
                operations[index, which] = Operation(self.tracks[index], which, conditioning)
            for layer, which in intervention.layers.items():
                parts_at.setdefault((intervention.site, layer), []).append((index, which))
        # Layers that add the same share one offset.
        sums: dict[tuple[Part, ...], FusedAdd] = {}
        self.taps: dict[tuple[Site, int], list[Operation | FusedAdd]] = {
            place: _fused(parts_at[place], operations, sums, dtype) for place in sorted(parts_at)
        }
        self._sums_of = [
            [total for parts, total in sums.items() if any(part[0] == index for part in parts)]
            for index in range(len(plan))
        ]
        # Everything that steps of one position read, numbered by first use.
        taps = dict.fromkeys(tap for here in self.taps.values() for tap in here)
        self._sums = _numbered(tap for tap in taps if isinstance(tap, FusedAdd))
        self._operations = _numbered(tap for tap in taps if isinstance(tap, Operation))
        self._tracks = _numbered(operation.track for operation in self._operations)

    @property
    def structure(self) -> Hashable:
        """Where which operators act, and which of them share tensors, without any values."""
        return tuple(
            (place, tuple(self._signature(tap) for tap in taps))
            for place, taps in self.taps.items()
        )

    def _signature(self, tap: Operation | FusedAdd) -> Hashable:
        if isinstance(tap, FusedAdd):
            return ("sum", self._sums[tap])
        settings = tap.intervention.steer.model_dump_json(exclude=NOT_CAPTURED)
        return (settings, self._operations[tap], self._tracks[tap.track])

    def place(self, keep: Keep) -> None:
        """Move the tensors to where captured steps read them; call `seek` before the next step."""
        for track in self.tracks:
            track.unset()
        for track, number in self._tracks.items():
            track.place(keep, f"strengths {number}")
        for operation, number in self._operations.items():
            operation.place(keep, f"directions {number}")
        for total, number in self._sums.items():
            total.place(keep, f"sum {number}")

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


def _fused(
    parts: Sequence[Part],
    operations: Mapping[Part, Operation],
    sums: dict[tuple[Part, ...], FusedAdd],
    dtype: torch.dtype,
) -> list[Operation | FusedAdd]:
    """Operations at one layer, consecutive additions as one; adds those that are new to `sums`."""
    fused: list[Operation | FusedAdd] = []
    for adds, group in groupby(
        parts, key=lambda part: operations[part].intervention.steer.operator == "add"
    ):
        run = tuple(group)
        if not adds:
            fused += [operations[part] for part in run]
            continue
        if run not in sums:
            sums[run] = FusedAdd([operations[part] for part in run], dtype)
        fused.append(sums[run])
    return fused


def _numbered(items: Iterable[Item]) -> dict[Item, int]:
    """Distinct items, numbered by first occurrence."""
    return {item: number for number, item in enumerate(dict.fromkeys(items))}
