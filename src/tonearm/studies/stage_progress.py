"""Progress of a stage: takes per hour and the time that is left."""

import logging
import time

from tonearm.progress import Progress

log = logging.getLogger(__name__)

REPORT_SECONDS = 10.0  # between two lines of the log


class StageProgress:
    """Counts takes of a stage that are made and measured.

    Args:
        stage: its name.
        count: takes to be measured.
        report: called with takes done and takes in all.
    """

    def __init__(self, stage: str, count: int, report: Progress | None) -> None:
        self._stage, self._count, self._report = stage, count, report
        self._began = self._reported = time.monotonic()
        self._made = self._done = 0
        if report:
            report(0, count)

    def made(self) -> None:
        """Count a take that can be measured."""
        self._made += 1

    def measured(self, takes: int) -> None:
        """Count takes that were measured; one that has several jobs counts once it is made."""
        self._done = min(self._made, self._done + takes)
        if self._report:
            self._report(self._done, self._count)
        now = time.monotonic()
        if now - self._reported > REPORT_SECONDS:
            self._reported = now
            rate = self._done / (now - self._began)
            log.info(
                "%s: %d of %d takes, %.0f per hour, %.0f s left",
                self._stage,
                self._done,
                self._count,
                3600 * rate,
                (self._count - self._done) / rate if rate else float("nan"),
            )
