"""Schedule: how the strength of a steer moves with time.

A schedule is a list of breakpoints (seconds, factor); the strength at a time is the steer's
strength times the factor there. Between breakpoints the factor moves in a straight line, before the
first and after the last it stays. Two breakpoints at one time make a jump, and the later one holds
from that time on.

Seconds are those of the clip. The codebook delay of MusicGen means that the step which decides
codebook 0 of frame t decides codebook k of frame t - k: a strength reached at frame t is whole in
the sound (K - 1) frames later at most (60 ms on the released mono checkpoints).
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from pydantic import ConfigDict, field_validator

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.schema import Declared


class Schedule(Declared):
    model_config = ConfigDict(extra="forbid", frozen=True)

    points: tuple[tuple[float, float], ...]

    @field_validator("points")
    @classmethod
    def _in_order(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if not points:
            raise ValueError("a schedule needs at least one (seconds, factor) point")
        if not np.isfinite(np.array(points)).all():
            raise ValueError("schedule points must be finite numbers")
        times = [seconds for seconds, _ in points]
        if times[0] < 0 or any(later < earlier for earlier, later in pairwise(times)):
            raise ValueError(f"schedule times {times} must not be negative and must not go back")
        return points

    def delayed(self, seconds: float) -> "Schedule":
        """The same schedule, which begins `seconds` later."""
        return Schedule(points=tuple((time + seconds, factor) for time, factor in self.points))

    @classmethod
    def window(cls, start: float, end: float, fade: float = 0.0) -> "Schedule":
        """Full strength from `start` to `end` seconds, none outside, with straight fades of `fade`
        seconds inside the window.
        """
        start, end = boundary.number(start, "start"), boundary.number(end, "end")
        fade = boundary.number(fade, "fade")
        if not (0 <= start < end and 0 <= 2 * fade <= end - start + 1e-9):
            raise TonearmError(
                f"window {start} to {end} s with fades of {fade} s: "
                "start must come before end, and the fades must fit"
            )
        return cls(
            points=(
                (start, 0.0),
                (start + fade, 1.0),
                (max(start + fade, end - fade), 1.0),
                (end, 0.0),
            )
        )

    @classmethod
    def ramp(cls, start: float, end: float, first: float = 0.0, last: float = 1.0) -> "Schedule":
        """From factor `first` at `start` to `last` at `end` seconds, in a straight line."""
        return cls(points=((start, first), (end, last)))

    @classmethod
    def steps(cls, values: Sequence[float], rate: float) -> "Schedule":
        """One value a frame, each held until the next frame; `rate` in frames per second."""
        values = boundary.array(values, "values").tolist()
        rate = boundary.number(rate, "rate")
        if not values or not (0 < rate < np.inf):
            raise TonearmError(
                f"{len(values)} values at {rate:g} frames per second are no schedule; "
                "give one value or more, and a rate above 0"
            )
        points = [(0.0, values[0])]
        for frame, (before, after) in enumerate(pairwise(values), start=1):
            if after != before:
                points += [(frame / rate, before), (frame / rate, after)]
        return cls(points=tuple(points))

    def scaled(self, factor: float) -> "Schedule":
        """The schedule with every factor multiplied by `factor`."""
        factor = boundary.number(factor, "factor")
        return Schedule(points=tuple((seconds, factor * value) for seconds, value in self.points))

    def clipped(self) -> "Schedule":
        """The schedule with 0 in place of negative factors; crossings of 0 become breakpoints."""
        points: list[tuple[float, float]] = []
        for (start, first), (end, last) in pairwise(self.points):
            points.append((start, max(0.0, first)))
            if first * last < 0 and end > start:
                points.append((start + (end - start) * first / (first - last), 0.0))
        end, last = self.points[-1]
        return Schedule(points=(*points, (end, max(0.0, last))))

    def factors(self, seconds: Iterable[float]) -> np.ndarray:
        """The factor at each time, float64 [T]."""
        at = boundary.array(seconds, "seconds")
        times = np.array([p[0] for p in self.points])
        values = np.array([p[1] for p in self.points])
        # Right-continuous at jumps: the segment is found by the last breakpoint at or before each
        # time.
        left = np.searchsorted(times, at, side="right") - 1
        right = np.clip(left + 1, 0, len(times) - 1)
        left = np.clip(left, 0, None)
        span = times[right] - times[left]
        share = np.where(span > 0, (at - times[left]) / np.where(span > 0, span, 1.0), 0.0)
        return values[left] + np.clip(share, 0.0, 1.0) * (values[right] - values[left])
