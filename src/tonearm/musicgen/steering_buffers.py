"""Buffers that carry out a plan: steering at one addition per layer, with strengths that can change
while decoding.

The values of each Intervention (steering_tracks.py) are kept in buffers over all rows, written in
place when they change. Directions cover all rows too, with zeros where a row is not steered. Adding
0.0 changes nothing, so rows and frames at strength 0 are exact. Consecutive additions at one layer
are summed once and applied as one; those of a steer with a gate (steering_gates.py), whose strength
differs from layer to layer, are applied by themselves.

Captured steps (cuda_graphs.py) run the taps over one position, where all values that they read are
in tensors: strengths, directions, readers, bounds, targets, gates, probes, readouts and sums.
`structure` is the rest.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TypeVar

import torch

from tonearm.backend import Site, Span
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.cuda_graphs import Keep
from tonearm.musicgen.frame_table import FrameTable
from tonearm.musicgen.monitor_loop import MonitorTap
from tonearm.musicgen.readout_taps import ReadoutTap, ReadoutTaps
from tonearm.musicgen.steering_gates import Gate
from tonearm.musicgen.steering_tracks import SteerTrack
from tonearm.steering.intervention import Intervention
from tonearm.steering.readout import Readout

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
    "level",
    "level_schedule",
    "gate",
    "monitor",
    "strategy",
    "source_layer",
    "layers",
    "branch",
    "positions",
}


class Operation:
    """One Intervention at one layer, its directions [R, D] and readers [R, D + 2] over all rows.

    Args:
        track: its values over frames.
        part: index of the directions among those of the intervention.
        conditioning: of the rows.
    """

    def __init__(self, track: SteerTrack, part: int, conditioning: Conditioning):
        self.track, self.part, self.conditioning = track, part, conditioning
        self.intervention = track.intervention
        self.directions = self._over_all_rows(self.intervention.directions)
        self.readers: torch.Tensor | None = None
        if self.intervention.readers is not None:
            self.readers = self._over_all_rows(self.intervention.readers)

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor:
        return self.apply(h, span, self.track.strengths(span))

    def apply(self, h: torch.Tensor, span: Span, strengths: torch.Tensor) -> torch.Tensor:
        """Edit h [R, S, D] by strengths [R, S, 1]."""
        return self.intervention.apply(
            h,
            self.directions[:, None],
            strengths,
            bounds=self.track.bounds,
            target=self.track.targets(self.part, span),
            readers=None if self.readers is None else self.readers[:, None],
        )

    @property
    def only_adds(self) -> bool:
        """Whether it is an addition of equal strength in all layers."""
        return self.intervention.steer.operator == "add" and self.track.gate is None

    def at(self, layer: int) -> "Operation | GatedOperation":
        """The operation at one of the target layers."""
        if self.track.gate is None:
            return self
        index = list(self.intervention.layers).index(layer)
        return GatedOperation(self, self.track.gate, index)

    def place(self, keep: Keep, name: str) -> None:
        """Move directions and readers to where captured steps read them."""
        self.directions = keep(name, self._over_all_rows(self.intervention.directions))
        if self.intervention.readers is not None:
            readers = self._over_all_rows(self.intervention.readers)
            self.readers = keep(f"{name}, readers", readers)

    def _over_all_rows(self, values: torch.Tensor) -> torch.Tensor:
        """Values [G, n, ...] of this part over all rows [R, ...], zeros where not steered."""
        own, rows, conditioning = values[self.part], self.intervention.rows, self.conditioning
        spread = torch.zeros(len(conditioning.states), own.shape[-1], device=rows.device)
        spread[rows] = own
        if conditioning.guided:
            spread[rows + conditioning.rows] = own
        return spread


class GatedOperation:
    """An operation at one layer, its strength multiplied by the gate of its steer.

    Args:
        operation: shared by the layers that have one direction.
        gate: of the steer.
        index: of the layer among the target layers.
    """

    def __init__(self, operation: Operation, gate: Gate, index: int):
        self.operation, self.gate, self.index = operation, gate, index

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor:
        strengths = self.operation.track.strengths(span) * self.gate.at(self.index, span)
        return self.operation.apply(h, span, strengths)


class FusedAdd:
    """Consecutive additions at one layer: one offset [R, 1, D] for all of them."""

    def __init__(self, operations: Sequence[Operation], dtype: torch.dtype):
        self.operations = operations
        self.offset = torch.zeros_like(operations[0].directions, dtype=dtype)[:, None]

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor:
        if span.length == 1:
            return h + self.offset
        for operation in self.operations:
            h = operation(h, span)
        return h

    def refresh(self) -> None:
        total = torch.zeros_like(self.operations[0].directions)
        for operation in self.operations:
            total.addcmul_(operation.track.now, operation.directions)
        self.offset.copy_(total[:, None])

    def place(self, keep: Keep, name: str) -> None:
        """Move the offset to where captured steps read it; `refresh` sets it."""
        self.offset = keep(name, torch.zeros_like(self.offset))


Part = tuple[int, int]  # indices of an intervention in the plan, and of one of its directions
SteerTap = ReadoutTap | MonitorTap | Operation | GatedOperation | FusedAdd


class SteeringBuffers:
    """The taps that carry out a plan on rows [conditional..., unconditional...]; `seek` before each
    step. `readouts` are read before any steer of their layer acts.
    """

    def __init__(
        self,
        plan: Sequence[Intervention],
        conditioning: Conditioning,
        prompt_frames: int,
        dtype: torch.dtype,
        seeds: Sequence[int],
        readouts: Sequence[Readout] = (),
    ):
        self.readouts = ReadoutTaps(readouts, conditioning.rows, conditioning.states.device)
        self.tracks = [
            SteerTrack(
                one,
                conditioning,
                prompt_frames if one.steer.positions == "generated" else 0,
                seeds,
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
        # Monitors read before any steer of the step acts.
        monitors_at = _monitor_taps(self.tracks)
        self.taps: dict[tuple[Site, int], list[SteerTap]] = {
            place: [
                *self.readouts.at(place),
                *monitors_at.get(place, ()),
                *_fused(place[1], parts_at.get(place, ()), operations, sums, dtype),
            ]
            for place in sorted(parts_at.keys() | monitors_at.keys() | self.readouts.taps.keys())
        }
        self._sums_of = [
            [total for parts, total in sums.items() if any(part[0] == index for part in parts)]
            for index in range(len(plan))
        ]
        # Everything that steps of one position read, numbered by first use.
        taps = dict.fromkeys(tap for here in self.taps.values() for tap in here)
        self._sums = _numbered(tap for tap in taps if isinstance(tap, FusedAdd))
        self._operations = _numbered(
            tap.operation if isinstance(tap, GatedOperation) else tap
            for tap in taps
            if isinstance(tap, Operation | GatedOperation)
        )
        self._probes = _numbered(tap.probes for tap in taps if isinstance(tap, MonitorTap))
        self._tracks = _numbered(operation.track for operation in self._operations)

    @property
    def structure(self) -> Hashable:
        """Where which operators act, and which of them share tensors, without any values."""
        return tuple(
            (place, tuple(self._signature(tap) for tap in taps))
            for place, taps in self.taps.items()
        )

    def _signature(self, tap: SteerTap) -> Hashable:
        if isinstance(tap, FusedAdd):
            return ("sum", self._sums[tap])
        if isinstance(tap, ReadoutTap):
            return ("readout", len(tap.directions))
        if isinstance(tap, MonitorTap):
            return ("monitor", self._probes[tap.probes], tap.probes.size)
        if isinstance(tap, GatedOperation):
            return ("gate", tap.index, self._signature(tap.operation))
        settings = tap.intervention.steer.model_dump_json(exclude=NOT_CAPTURED)
        has_level = tap.track.levels is not None
        return (settings, has_level, self._operations[tap], self._tracks[tap.track])

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
        for probes, number in self._probes.items():
            probes.place(keep, f"monitor {number}")
        for (site, layer), tap in self.readouts.taps.items():
            tap.place(keep, f"readout {site} {layer}")

    def seek(self, frame: int) -> None:
        """Set all values to those of code position `frame`."""
        changed = [index for index, track in enumerate(self.tracks) if track.seek(frame)]
        for total in dict.fromkeys(total for index in changed for total in self._sums_of[index]):
            total.refresh()

    @property
    def has_monitors(self) -> bool:
        """Whether any steer depends on what was read at earlier steps."""
        return any(track.loop for track in self.tracks)

    def end_window(self) -> None:
        """Keep what is needed afterwards of tensors that captured steps write."""
        for track in self.tracks:
            if track.loop:
                track.loop.keep_readings()
        for tap in self.readouts.taps.values():
            tap.detach()

    def hold_after(self, lengths: Sequence[int]) -> None:
        """Keep each batch row's values at its last frame for all frames after it."""
        for track in self.tracks:
            track.hold_after(lengths)

    def set_strength(self, position: int, strength: float, frame: int) -> None:
        """Set the strength of the steer at `position` in its list, in all rows, from `frame` on."""
        for track in self.tracks:
            if track.position == position:
                _set_all_from(track.table, frame, strength)

    def set_level(self, position: int, level: float, frame: int) -> None:
        """Set the level of the steer at `position` in its list, in all rows, from `frame` on."""
        for track in self.tracks:
            if track.position == position and track.levels:
                _set_all_from(track.levels.table, frame, level)

    def strengths(self, row: int, position: int) -> list[float]:
        """Strengths of the steer at `position` in a row's list, frame by frame, as they were set."""
        track = self._track(row, position)
        return track.table.values[track.rows.index(row)].tolist()

    def levels(self, row: int, position: int) -> list[float]:
        """Levels of the steer at `position`, which is one by operator set, likewise."""
        track = self._track(row, position)
        assert track.levels is not None
        return track.levels.table.values[track.rows.index(row)].tolist()

    def acted(self, row: int, frames: int) -> dict[int, torch.Tensor]:
        """Strengths of a row's monitored steers at the first frames, as they acted, by position:
        float32 [frames] each, on the CPU.
        """
        return {
            track.position: track.acted(row, frames)
            for track in self.tracks
            if track.loop and row in track.rows
        }

    def _track(self, row: int, position: int) -> SteerTrack:
        return next(t for t in self.tracks if t.position == position and row in t.rows)


def _monitor_taps(tracks: Sequence[SteerTrack]) -> dict[tuple[Site, int], list[MonitorTap]]:
    """Taps of the probes of all monitored steers, by site and layer."""
    taps: dict[tuple[Site, int], list[MonitorTap]] = {}
    for probes in [track.loop.probes for track in tracks if track.loop]:
        for layer in probes.all_layers:
            taps.setdefault(("heads", layer), []).append(MonitorTap(probes, layer))
    return taps


def _set_all_from(table: FrameTable, frame: int, value: float) -> None:
    for row in range(len(table.values)):
        table.set_from(row, frame, value)


def _fused(
    layer: int,
    parts: Sequence[Part],
    operations: Mapping[Part, Operation],
    sums: dict[tuple[Part, ...], FusedAdd],
    dtype: torch.dtype,
) -> list[SteerTap]:
    """Operations at one layer, consecutive additions as one; adds those that are new to `sums`."""
    fused: list[SteerTap] = []
    for adds, group in groupby(parts, key=lambda part: operations[part].only_adds):
        run = tuple(group)
        if not adds:
            fused += [operations[part].at(layer) for part in run]
            continue
        if run not in sums:
            sums[run] = FusedAdd([operations[part] for part in run], dtype)
        fused.append(sums[run])
    return fused


def _numbered(items: Iterable[Item]) -> dict[Item, int]:
    """Distinct items, numbered by first occurrence."""
    return {item: number for number, item in enumerate(dict.fromkeys(items))}
