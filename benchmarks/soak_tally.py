"""Counts of a soak: actions, refusals, faults, and events that can make a stream late."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field

MAX_FAULTS = 200  # that are kept as text
CAUSE_SECONDS = 3.0  # an underrun is attributed to an action at most this many seconds before it
# actions that cost computation, or change how far the music is computed ahead
HEAVY = ("fork", "play", "prompt", "lead", "loop", "upload", "bad upload", "huge upload")
HEAVY += ("export wav", "export flac", "export page", "research", "flood", "too many clients")


@dataclass
class Tally:
    """Counts.

    actions   by kind
    refusals  reasons of the server for good actions, by their first words
    notices   of the session, by their first words
    faults    anything that the server must not do
    """

    actions: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    notices: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0
    _events: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=200))

    def act(self, kind: str) -> None:
        """Count an action."""
        self.actions[kind] += 1
        self._events.append((time.monotonic(), kind))

    def refused(self, reason: str) -> None:
        """Count a refusal."""
        self.refusals[" ".join(reason.split()[:6])] += 1

    def fault(self, text: str) -> None:
        """Note a fault."""
        self.fault_count += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(text)

    def before(self, at: float) -> str:
        """The last heavy action shortly before a moment, or "none"."""
        near = [
            kind
            for when, kind in self._events
            if at - CAUSE_SECONDS <= when <= at and kind in HEAVY
        ]
        return near[-1] if near else "none"
