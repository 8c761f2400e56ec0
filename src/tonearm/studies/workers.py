"""Worker processes, each of which applies a function to one job at a time.

A thread for each process hands it jobs and waits. A process that ends by itself, such as one that the
system kills for want of memory, is replaced, and its job is done again. Workers end with this
process, however it ends.
"""

import logging
import os
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Generic, TypeVar

from tonearm.errors import TonearmError

log = logging.getLogger(__name__)

ATTEMPTS = 3  # at a job whose process ends by itself
J = TypeVar("J")
R = TypeVar("R")


class WorkerError(RuntimeError):
    """An error in a worker that is no user's mistake; the message is the worker's traceback."""


class WorkerPool(Generic[J, R]):
    """Processes that apply a function to jobs; they start with the first jobs.

    Args:
        count: of processes.
        function: of a job; at the top level of a module.
        prepare: called once in each process; likewise.
    """

    def __init__(self, count: int, function: Callable[[J], R], prepare: Callable[[], None]) -> None:
        self._function, self._prepare = function, prepare
        self._jobs: SimpleQueue[tuple[Future[R], J] | None] = SimpleQueue()  # None ends a thread
        self._own = threading.local()  # the worker of a thread
        self._lock = threading.Lock()
        self._workers: set[_Worker] = set()
        self._is_closed = False
        # Python does not wait for daemons at its end: not where Ctrl-C interrupts `close` either.
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, job: J) -> "Future[R]":
        """Have a job done by the next free process.

        The future raises TonearmError for a user's mistake and for a job whose processes end by
        themselves, and WorkerError for other errors.
        """
        future: Future[R] = Future()
        self._jobs.put((future, job))
        return future

    def close(self) -> None:
        """End all processes at once, and drop the jobs that are not done."""
        with self._lock:
            self._is_closed = True
            for worker in self._workers:
                worker.kill()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """Do the jobs of one thread."""
        while (entry := self._jobs.get()) is not None:
            future, job = entry
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = self._apply(job)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def _apply(self, job: J) -> R:
        for attempt in range(1, ATTEMPTS + 1):
            worker = self._worker()
            try:
                return worker.apply(job)
            except _Ended as ended:
                self._discard(worker)
                log.warning("%s in attempt %d of %d at a job", ended, attempt, ATTEMPTS)
                cause = str(ended)
        raise TonearmError(
            f"{cause} in {ATTEMPTS} attempts at a job; the system kills a process for want of memory: "
            "give fewer --workers, and start the command again, a study with --resume"
        )

    def _worker(self) -> "_Worker[J, R]":
        """The worker of this thread."""
        worker: _Worker[J, R] | None = getattr(self._own, "worker", None)
        if worker is None:
            with self._lock:
                if self._is_closed:
                    raise CancelledError
                worker = self._own.worker = _Worker(self._function, self._prepare)
                self._workers.add(worker)
        return worker

    def _discard(self, worker: "_Worker[J, R]") -> None:
        self._own.worker = None
        with self._lock:
            if self._is_closed:
                raise CancelledError
            self._workers.remove(worker)


class _Ended(Exception):
    """A worker process has ended by itself."""


class _Worker(Generic[J, R]):
    """One process, started and used by one thread."""

    def __init__(self, function: Callable[[J], R], prepare: Callable[[], None]) -> None:
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, function, prepare)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        _block_interrupts()
        self._process.start()
        theirs.close()

    def apply(self, job: J) -> R:
        """Have a job done.

        Raises:
            _Ended: the process has ended.
        """
        try:
            self._connection.send(job)
            result, error = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise _Ended(f"a worker process {_how_ended(self._process.exitcode)}") from None
        if error is not None:
            raise error
        return result

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _block_interrupts() -> None:
    """Block SIGINT in this thread, and so in the processes that it starts.

    A terminal sends Ctrl-C to all of them; this process handles it, and ends its workers.
    """
    resource_tracker.ensure_running()  # its start, within that of a process, would unblock SIGINT
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _how_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _serve(connection: Connection, function: Callable[[J], R], prepare: Callable[[], None]) -> None:
    """Do jobs until the other process closes the connection or ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    prepare()
    with suppress(EOFError, OSError):
        while True:
            connection.send(_outcome(function, connection.recv()))


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _outcome(function: Callable[[J], R], job: J) -> tuple[R | None, Exception | None]:
    try:
        return function(job), None
    except TonearmError as error:
        return None, error
    except Exception:
        return None, WorkerError(traceback.format_exc())
