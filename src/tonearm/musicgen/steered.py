"""A plan as buffers: steering that costs one addition a layer, and can be turned while decoding.

Each Move's strengths stand in a buffer over all rows, written in place when a frame's strengths differ from those of the frame before (or
somebody turned a knob); directions too cover all rows, with zeros where a row is not steered. Adding 0.0 changes nothing, so
rows and frames at strength 0 are exact. All additions that follow each other at one place are added up once and applied as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.plan import Move, Plan
from tonearm.musicgen.taps import Span, Tap
from tonearm.steering.vector import Site


class Dial:
    """The strengths of a Move's rows over frames, shared by all layers that it steers.

    table [n, T] over frames, the last column held for later frames; `now` [R, 1] is what holds at the frame sought last.
    """

    def __init__(self, move: Move, conditioning: Conditioning, first_frame: int):
        self.place, self.rows = move.place, move.rows.tolist()
        self.table = move.strengths.cpu().clone()
        self.in_prefix, self.first_frame = move.steer.positions == "all", first_frame
        device, all_rows = move.rows.device, len(conditioning.states)
        halves = []
        if move.steer.branch in ("both", "conditional"):
            halves.append(move.rows)
        if move.steer.branch in ("both", "unconditional") and conditioning.guided:
            halves.append(move.rows + conditioning.rows)
        self.spread = torch.zeros(all_rows, len(self.rows), device=device)  # [R, n]: whose strength a row takes
        for rows in halves:
            self.spread[rows, torch.arange(len(self.rows), device=device)] = 1
        self.now = torch.zeros(all_rows, 1, device=device)
        self._column: torch.Tensor | None = None

    def seek(self, frame: int) -> bool:
        """Set `now` to the strengths at `frame`; whether they changed."""
        column = self.table[:, min(frame, self.table.shape[1] - 1)] * (frame >= self.first_frame)
        if self._column is not None and torch.equal(column, self._column):
            return False
        self._column = column
        torch.matmul(self.spread, column[:, None].to(self.spread), out=self.now)
        return True

    def turn(self, row: int, strength: float, frame: int) -> None:
        """Set a row's strength from `frame` on."""
        self.table[self.rows.index(row), frame:] = strength

    def over(self, span: Span) -> torch.Tensor:
        """[R, S, 1]: the strengths at each position of a span; the prefix gets those of its first frame, or none."""
        frames = torch.tensor(list(span.code_positions), dtype=torch.int64)
        codes = self.table[:, frames.clamp(max=self.table.shape[1] - 1)] * (frames >= self.first_frame)
        prefix = self.table[:, span.first, None].expand(-1, span.prefix) * float(self.in_prefix)
        return (self.spread @ torch.cat([prefix, codes], dim=1).to(self.spread))[..., None]


@dataclass
class _Step:
    """One Move at one place, its directions [R, D] over all rows."""

    move: Move
    dial: Dial
    directions: torch.Tensor

    def __call__(self, h: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """h [R, S, D], strength [R, S, 1]."""
        return self.move.apply(h, self.directions[:, None], strength)


class _Sum:
    """Moves that only add, one after the other: one offset [R, 1, D] for all of them."""

    def __init__(self, steps: Sequence[_Step], dtype: torch.dtype):
        self.steps = steps
        self.offset = torch.zeros_like(steps[0].directions, dtype=dtype)[:, None]

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor:
        if span.length == 1:
            return h + self.offset
        for step in self.steps:
            h = step(h, step.dial.over(span))
        return h

    def refresh(self) -> None:
        total = torch.zeros_like(self.steps[0].directions)
        for step in self.steps:
            total.addcmul_(step.dial.now, step.directions)
        self.offset.copy_(total[:, None])


class _Single:
    def __init__(self, step: _Step):
        self.step = step

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor:
        dial = self.step.dial
        return self.step(h, dial.now[:, None] if span.length == 1 else dial.over(span))


class SteeringBuffers:
    """The taps that carry out a plan on rows [conditional..., unconditional...]; `seek` before each step."""

    def __init__(self, plan: Plan, conditioning: Conditioning, prompt_frames: int, dtype: torch.dtype):
        self.dials: dict[int, Dial] = {}  # by the identity of the strengths that layers share
        self.taps: dict[tuple[Site, int], list[Tap]] = {}
        self.sums: dict[tuple[int, ...], _Sum] = {}  # layers that add the same share one offset
        spread_directions: dict[int, torch.Tensor] = {}
        for place, moves in plan.items():
            steps = []
            for move in moves:
                first_frame = prompt_frames if move.steer.positions == "generated" else 0
                dial = self.dials.setdefault(id(move.strengths), Dial(move, conditioning, first_frame))
                if id(move.directions) not in spread_directions:
                    directions = torch.zeros(
                        len(conditioning.states), move.directions.shape[1], device=move.rows.device
                    )
                    directions[move.rows] = move.directions
                    if conditioning.guided:
                        directions[move.rows + conditioning.rows] = move.directions
                    spread_directions[id(move.directions)] = directions
                steps.append(_Step(move, dial, spread_directions[id(move.directions)]))
            self.taps[place] = self._joined(steps, dtype)
        self._taps_of = {
            dial: [s for s in self.sums.values() if any(step.dial is dial for step in s.steps)]
            for dial in self.dials.values()
        }

    def _joined(self, steps: Sequence[_Step], dtype: torch.dtype) -> list[Tap]:
        joined: list[Tap] = []
        run: list[_Step] = []

        def close() -> None:
            if run:
                key = tuple(part for step in run for part in (id(step.dial), id(step.directions)))
                joined.append(self.sums.setdefault(key, _Sum(tuple(run), dtype)))
                run.clear()

        for step in steps:
            if step.move.steer.operator == "add":
                run.append(step)
            else:
                close()
                joined.append(_Single(step))
        close()
        return joined

    def seek(self, frame: int) -> None:
        """Set all strengths to those of code position `frame`."""
        stale = {s for dial in self.dials.values() if dial.seek(frame) for s in self._taps_of[dial]}
        for total in stale:
            total.refresh()

    def turn(self, row: int, place: int, strength: float, frame: int) -> None:
        """Set the strength of the steer at `place` in a row's list, from `frame` on."""
        for dial in self._dials_of(row, place):
            dial.turn(row, strength, frame)

    def strengths(self, row: int, place: int) -> list[float]:
        """The strengths of the steer at `place` in a row's list, frame by frame, as they were set and turned."""
        dial = self._dials_of(row, place)[0]
        return dial.table[dial.rows.index(row)].tolist()

    def _dials_of(self, row: int, place: int) -> list[Dial]:
        return [dial for dial in self.dials.values() if dial.place == place and row in dial.rows]
