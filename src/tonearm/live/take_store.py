"""Takes that a session keeps, the newest ones, and those that are being completed."""

from collections import OrderedDict
from threading import Lock

from tonearm.errors import TonearmError
from tonearm.live.state import TakeState
from tonearm.live.takes import FinishedTake

MAX_TAKES = 16


class TakeStore:
    """Takes by the number of their performance. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._takes: OrderedDict[int, FinishedTake | TakeState] = OrderedDict()
        self._exported: set[int] = set()
        self._lock = Lock()

    def keep(self, take: FinishedTake | TakeState) -> int | None:
        """Keep another take, or the state of one that is not ready.

        Where there are too many, the oldest one that was exported is released, else the oldest.

        Returns:
            The number of a take that was released without an export; None for none.
        """
        with self._lock:
            self._takes[take.number] = take
            if len(self._takes) <= MAX_TAKES:
                return None
            oldest = next(iter(self._takes))
            released = next((number for number in self._takes if number in self._exported), oldest)
            del self._takes[released]
            return None if released in self._exported else released

    def complete(self, take: FinishedTake | TakeState) -> None:
        """Keep a take, or its fault, in place of the state before; one that was released stays so."""
        with self._lock:
            if take.number in self._takes:
                self._takes[take.number] = take

    def mark_exported(self, number: int) -> None:
        """Count a take as exported."""
        with self._lock:
            self._exported.add(number)

    @property
    def unsaved(self) -> tuple[int, ...]:
        """Numbers of the takes that are ready and were not exported."""
        with self._lock:
            return tuple(
                number
                for number, take in self._takes.items()
                if isinstance(take, FinishedTake) and number not in self._exported
            )

    @property
    def states(self) -> tuple[TakeState, ...]:
        """All takes, for clients."""
        with self._lock:
            takes = list(self._takes.values())
        return tuple(one.state if isinstance(one, FinishedTake) else one for one in takes)

    def ready(self, number: int) -> FinishedTake:
        """The take of a performance.

        Raises:
            TonearmError: there is none, or it is not ready.
        """
        with self._lock:
            found = self._takes.get(number)
            known = ", ".join(map(str, self._takes)) or "none"
        if found is None:
            raise TonearmError(f"there is no take {number}; the takes are {known}")
        if isinstance(found, TakeState):
            raise TonearmError(found.fault or f"take {number} is not ready; wait a moment")
        return found
