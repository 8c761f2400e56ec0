"""Queue of generation jobs, all of which one request cancels.

HARP does not name a job when it cancels, so running and waiting jobs all end.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from tonearm.errors import TonearmError
from tonearm.progress import Progress

MAX_JOBS = 8  # one that runs, and those that wait
_Result = TypeVar("_Result")


class Cancelled(TonearmError):
    """A job was cancelled."""

    def __init__(self) -> None:
        super().__init__("the take was cancelled")


class Jobs:
    """Jobs of one model, carried out one after the other in the threads that call `run`."""

    def __init__(self) -> None:
        self._jobs: list[_Job] = []
        self._changed = threading.Condition()

    def run(self, work: Callable[[Progress], _Result]) -> _Result:
        """Wait for the turn, and carry out a job.

        Args:
            work: called with a function that it calls often, and that raises Cancelled.

        Raises:
            Cancelled: by `cancel`.
            TonearmError: too many jobs wait, or a fault of the job.
        """
        job = _Job()
        with self._changed:
            if len(self._jobs) >= MAX_JOBS:
                raise TonearmError(
                    f"{MAX_JOBS} takes are queued already; wait for one, or cancel them"
                )
            self._jobs.append(job)
            try:
                self._changed.wait_for(lambda: job.is_cancelled or self._jobs[0] is job)
            except BaseException:
                self._jobs.remove(job)
                raise
        try:
            job.check(0, 1)
            return work(job.check)
        finally:
            with self._changed:
                self._jobs.remove(job)
                self._changed.notify_all()

    def cancel(self) -> None:
        """Cancel all jobs."""
        with self._changed:
            for job in self._jobs:
                job.is_cancelled = True
            self._changed.notify_all()


class _Job:
    """One call of `Jobs.run`."""

    def __init__(self) -> None:
        self.is_cancelled = False

    def check(self, done: int, total: int) -> None:
        """Raise Cancelled after `Jobs.cancel`; a `tonearm.progress.Progress`."""
        if self.is_cancelled:
            raise Cancelled
