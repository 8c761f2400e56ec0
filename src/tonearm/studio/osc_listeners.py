"""Addresses that receive the echoes of an OSC server: the newest senders, while they send."""

import time
from collections.abc import Callable

MAX_LISTENERS = 8
LISTENER_SECONDS = 300.0  # without a message, after which an address receives no further echoes
Address = tuple[str, int]


class OscListeners:
    """Senders by the time of their newest message.

    UDP has no disconnect, so an address expires LISTENER_SECONDS after its newest message. Beyond
    MAX_LISTENERS, the address that has been silent longest is dropped.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._newest: dict[Address, float] = {}  # in order of time

    def add(self, sender: Address) -> None:
        """Count a message of a sender."""
        self._newest.pop(sender, None)
        self._newest[sender] = self._clock()
        while len(self._newest) > MAX_LISTENERS:
            del self._newest[next(iter(self._newest))]

    @property
    def addresses(self) -> list[Address]:
        """Those that receive echoes now, the newest sender last."""
        oldest = self._clock() - LISTENER_SECONDS
        self._newest = {one: sent for one, sent in self._newest.items() if sent > oldest}
        return list(self._newest)
