"""Subscribers of a session, which receive its events."""

import logging
from collections.abc import Callable
from functools import partial
from threading import Lock

from tonearm.live.events import Event, Subscriber

_log = logging.getLogger(__name__)


class Subscribers:
    """All subscribers. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []
        self._lock = Lock()

    def add(self, subscriber: Subscriber) -> Callable[[], None]:
        """Send all events to a subscriber; the function that is returned ends it."""
        with self._lock:
            self._subscribers.append(subscriber)
        return partial(self._remove, subscriber)

    def publish(self, event: Event) -> None:
        """Send an event to all subscribers; one that fails receives no further events."""
        with self._lock:
            subscribers = list(self._subscribers)
        for subscriber in subscribers:
            try:
                subscriber(event)
            except Exception:  # a client's fault; the others still receive events
                _log.exception("a subscriber failed and receives no further events")
                self._remove(subscriber)

    def _remove(self, subscriber: Subscriber) -> None:
        with self._lock:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)
