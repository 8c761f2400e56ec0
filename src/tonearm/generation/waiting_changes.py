"""Changes of a stream that wait for its next step."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock

from tonearm.errors import TonearmError
from tonearm.generation.provenance import TextRecord
from tonearm.musicgen.decode_request import ConditioningByStart
from tonearm.steering.controls import Control

# Once this many changes wait, a newer change replaces the oldest waiting one of the same setting.
# Otherwise a stream that takes no step, as during a loop, would apply thousands at its next step.
MAX_WAITING = 64
ENDED = "the stream has ended; start another one"
TOO_LATE = "the stream ended before the change took effect"
REPLACED = "a newer change of the same setting replaced this one before it took effect"


class TooLate(TonearmError):
    """A change that did not take effect, since the stream ended before."""


class Replaced(TooLate):
    """A change that did not take effect, since a newer one of the same setting replaced it."""


@dataclass(frozen=True)
class NewPrompt:
    """Another prompt, with its encoding."""

    prompt: str
    texts: TextRecord
    conditioning: ConditioningByStart


@dataclass(frozen=True)
class Change:
    """A setting, and a future of the frame at which it takes effect."""

    setting: Control | NewPrompt
    took_effect: "Future[int]" = field(default_factory=Future)

    @property
    def target(self) -> str:
        """The setting that is changed."""
        return self.setting.target if isinstance(self.setting, Control) else "prompt"

    def refuse(self, reason: TooLate) -> None:
        """Answer that the change does not take effect, unless it was cancelled."""
        if self.took_effect.set_running_or_notify_cancel():
            self.took_effect.set_exception(reason)


class WaitingChanges:
    """All methods may be called from any thread.

    Futures call back, and a callback may call any method: none is answered under the lock.
    """

    def __init__(self) -> None:
        self._waiting: list[Change] = []
        self._lock = Lock()
        self._closed = False

    def put(self, change: Change) -> None:
        """Let a change wait.

        Raises:
            TonearmError: the stream has ended.
        """
        with self._lock:
            if self._closed:
                raise TonearmError(ENDED)
            replaced = self._taken_for(change)
            self._waiting.append(change)
        if replaced is not None:
            replaced.refuse(Replaced(REPLACED))

    def _taken_for(self, change: Change) -> Change | None:
        """Where too many wait, take out the oldest one of the same setting."""
        if len(self._waiting) < MAX_WAITING:
            return None
        same = (at for at, one in enumerate(self._waiting) if one.target == change.target)
        at = next(same, None)
        return None if at is None else self._waiting.pop(at)

    def take(self) -> Sequence[Change]:
        """Take out those that wait and were not cancelled, in their order."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return [one for one in waiting if one.took_effect.set_running_or_notify_cancel()]

    def close(self) -> None:
        """Refuse those that wait, and all later ones."""
        with self._lock:
            self._closed = True
            waiting, self._waiting = self._waiting, []
        for change in waiting:
            change.refuse(TooLate(TOO_LATE))
