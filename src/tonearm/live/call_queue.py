"""Queue of calls that any thread puts in and one thread makes, answered through futures."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from tonearm.errors import TonearmError

MAX_WAITING = 10_000  # calls in the queue
ENDED = "the session has ended; start another one"
Call = Callable[["Future[Any]"], None]
"""Sets the future's result, at once or later; an exception that it raises becomes the result."""


class CallQueue:
    """Calls in their order. `run_waiting` and `wait` are for the thread that makes them."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Call, Future[Any]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether all further calls are refused."""
        return self._closed

    def submit(self, call: Call) -> "Future[Any]":
        """Put a call into the queue.

        Returns:
            A future of its answer; it raises TonearmError where the queue is full or closed.
        """
        answer: Future[Any] = Future()
        with self._lock:
            refusal = self._refusal()
            if refusal is None:
                self._calls.put((call, answer))
        if refusal is not None:
            answer.set_exception(TonearmError(refusal))
        self._wake.set()
        return answer

    def run_waiting(self) -> None:
        """Make the calls that wait. An error that is no TonearmError is raised again."""
        self._wake.clear()
        for _ in range(self._calls.qsize()):
            _run(*self._calls.get_nowait())

    def wait(self, seconds: float) -> None:
        """Wait until a call was put in since the last `run_waiting`, or the queue was closed."""
        self._wake.wait(seconds)

    def close(self) -> None:
        """Take no further calls. Those that wait stay, until `refuse`."""
        self._closed = True
        self._wake.set()

    def refuse(self) -> None:
        """Refuse the calls that wait, and all later ones."""
        with self._lock:
            self._closed = True
        while True:
            try:
                _, answer = self._calls.get_nowait()
            except Empty:
                return
            if answer.set_running_or_notify_cancel():
                answer.set_exception(TonearmError(ENDED))

    def _refusal(self) -> str | None:
        if self._closed:
            return ENDED
        is_full = self._calls.qsize() >= MAX_WAITING
        return "too many controls at once; send fewer" if is_full else None


def _run(call: Call, answer: "Future[Any]") -> None:
    if answer.set_running_or_notify_cancel():
        run_call(call, answer)


def run_call(call: Call, answer: "Future[Any]") -> None:
    """Make a call; its error becomes the answer, and ends the session unless it is a mistake."""
    try:
        call(answer)
    except BaseException as error:
        if not answer.done():  # by a call within this one
            answer.set_exception(error)
        if not isinstance(error, TonearmError):
            raise
