"""Takes that a session keeps, the newest ones, and those that are being completed."""

from collections import OrderedDict
from threading import Lock

from tonearm.errors import TonearmError
from tonearm.live.state import TakeState
from tonearm.live.takes import RecordedTake

MAX_TAKES = 16


class TakeStore:
    """Takes by the number of their performance. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._takes: OrderedDict[int, RecordedTake | TakeState] = OrderedDict()
        self._lock = Lock()

    def keep(self, take: RecordedTake | TakeState) -> None:
        """Keep a take, or the state of one that is not ready; the oldest may be released."""
        with self._lock:
            self._takes[take.number] = take
            while len(self._takes) > MAX_TAKES:
                self._takes.popitem(last=False)

    @property
    def states(self) -> tuple[TakeState, ...]:
        """All takes, for clients."""
        with self._lock:
            takes = list(self._takes.values())
        return tuple(one.state if isinstance(one, RecordedTake) else one for one in takes)

    def ready(self, number: int) -> RecordedTake:
        """The take of a performance.

        Raises:
            TonearmError: there is none, or it is not ready.
        """
        with self._lock:
            found = self._takes.get(number)
            known = ", ".join(map(str, self._takes)) or "none"
        if found is None:
            raise TonearmError(f"there is no take {number}; there are {known}")
        if isinstance(found, TakeState):
            raise TonearmError(found.fault or f"take {number} is not ready; wait a moment")
        return found
