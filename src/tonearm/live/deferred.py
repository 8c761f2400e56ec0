"""Actions of a live performance that are deferred until extra lead has built up.

A prompt or a fork takes longer to compute than a chunk lasts, so that music is computed ahead first.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

# Limit on the music computed while extra lead builds up, as a multiple of the extra lead; speed s
# needs s / (s - 1), which is 4 at 1.33 times real time.
MAX_BUILD_UP = 4.0


@dataclass(frozen=True)
class _Deferred:
    """An action deferred until `extra_lead` seconds have built up, or until output
    position `latest` if the machine is too slow for that.
    """

    extra_lead: float
    latest: int
    action: Callable[[], None]


class DeferredActions:
    """Actions in the order of their requests; all calls come from one thread.

    Args:
        sample_rate: in Hz.
    """

    def __init__(self, sample_rate: int):
        self._rate = sample_rate
        self._actions: deque[_Deferred] = deque()
        self._is_running = False

    def __bool__(self) -> bool:
        return bool(self._actions)

    def add(self, extra_lead: float, position: int, action: Callable[[], None]) -> None:
        """Defer an action.

        Args:
            extra_lead: seconds, beyond the lead.
            position: newest sample of the output.
            action: called once.
        """
        latest = position + round(MAX_BUILD_UP * extra_lead * self._rate)
        self._actions.append(_Deferred(extra_lead, latest, action))

    @property
    def extra_lead(self) -> float:
        """Seconds, beyond the lead, that have to build up."""
        return max((one.extra_lead for one in self._actions), default=0.0)

    def is_overdue(self, position: int) -> bool:
        """Whether an action has to run without its extra lead at an output position."""
        return any(position >= one.latest for one in self._actions)

    def run(self) -> None:
        """Run all actions; if one fails, the others stay deferred."""
        if self._is_running:  # by a fork, whose start comes here again
            return
        self._is_running = True
        try:
            while self._actions:
                self._actions.popleft().action()
        finally:
            self._is_running = False
