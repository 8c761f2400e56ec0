"""Tempo of a host from MIDI Clock: 24 ticks per beat, by a regression line through their times."""

from collections import deque

import numpy as np

TICKS_PER_BEAT = 24
WINDOW = 2 * TICKS_PER_BEAT  # ticks of the line
LEAST = TICKS_PER_BEAT // 2  # ticks before there is a tempo
NEWEST = 6  # intervals that show a change of tempo
CHANGE = 0.05  # of the interval, beyond which the earlier ticks are forgotten
LONGEST_PAUSE = 0.5  # seconds between two ticks; 24 ticks a beat are 5 BPM there


class ClockEstimator:
    """Estimates the tempo while ticks come; it knows no clock of its own."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=WINDOW)

    def reset(self) -> None:
        """Forget all ticks, as at a start or a stop of the host."""
        self._times.clear()

    def tick(self, seconds: float) -> None:
        """Count a tick at a time; one that is not later than the last one is ignored."""
        if self._times:
            pause = seconds - self._times[-1]
            if pause <= 0:
                return
            if pause > LONGEST_PAUSE:
                self.reset()
        self._times.append(seconds)
        if len(self._times) > 2 * NEWEST:
            times = list(self._times)
            newest = (times[-1] - times[-1 - NEWEST]) / NEWEST
            before = (times[-1 - NEWEST] - times[0]) / (len(times) - 1 - NEWEST)
            if abs(newest / before - 1) > CHANGE:
                self._times = deque(times[-1 - NEWEST :], maxlen=WINDOW)

    def bpm(self, now: float) -> float | None:
        """The tempo; None before a half beat was counted, or where ticks no longer come.

        Args:
            now: time, on the clock of the ticks.
        """
        times = np.asarray(self._times)
        if len(times) < LEAST or now - times[-1] > LONGEST_PAUSE:
            return None
        interval = np.polyfit(np.arange(len(times)), times - times[0], 1)[0]
        return float(60 / (TICKS_PER_BEAT * interval))
