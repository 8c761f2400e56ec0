"""Limit on reported play heads: a client cannot play unsent audio, or faster than real time.

Without it, a client that reports every sample as played would make the session compute as fast as
it can, far ahead of the other clients.
"""

import time
from collections.abc import Callable

SLACK = 4.0  # seconds that a play head may be ahead of the clock
SKEW = 1.002  # of the clock of a sound card, at most


class PlayheadLimit:
    """Counts what a client was sent.

    Args:
        sample_rate: in Hz.
        clock: seconds.
    """

    def __init__(self, sample_rate: int, clock: Callable[[], float] = time.monotonic):
        self._rate, self._clock = sample_rate, clock
        self._run = self._first = self._sent = 0
        self._begun = 0.0

    def sent(self, run: int, first: int, stop: int) -> None:
        """Count a block of a run, from its first sample to the one after its last."""
        if run != self._run:
            self._run, self._first, self._begun = run, first, self._clock()
        self._sent = stop

    def limited(self, sample: int) -> int:
        """The play head that counts for a reported one."""
        elapsed = SKEW * (self._clock() - self._begun) + SLACK
        return min(sample, self._sent, self._first + round(elapsed * self._rate))
