"""Measuring of clips in worker processes, while the next takes are made."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

from tonearm.audio import Clip
from tonearm.studies.measure_groups import MeasureRequest, group
from tonearm.studies.store import Values
from tonearm.studies.workers import WorkerPool

CLIPS_PER_JOB = 8
JOBS_PER_WORKER = 4  # waiting; beyond, decoding waits for the measures


@dataclass(frozen=True)
class Job:
    """A clip and the groups that measure it."""

    key: str
    clip: Clip
    arguments: Mapping[str, str]
    groups: tuple[str, ...]


class Measuring:
    """Jobs in worker processes, or in this process without workers."""

    def __init__(self, pool: WorkerPool[Sequence[Job], list[Values]] | None, workers: int) -> None:
        self._pool, self._most = pool, workers * JOBS_PER_WORKER
        self._jobs: list[Job] = []
        self._waiting: deque[Future[list[Values]]] = deque()

    def add(self, jobs: Sequence[Job]) -> Iterator[list[Values]]:
        """Add jobs; yield the values that are known by now, and wait while too many jobs wait."""
        self._jobs += jobs
        while len(self._jobs) >= CLIPS_PER_JOB:
            chunk, self._jobs = self._jobs[:CLIPS_PER_JOB], self._jobs[CLIPS_PER_JOB:]
            if self._pool is None:
                yield measure_jobs(chunk)
            else:
                self._waiting.append(self._pool.submit(chunk))
        while self._waiting and (len(self._waiting) > self._most or self._waiting[0].done()):
            yield self._waiting.popleft().result()

    def finish(self) -> Iterator[list[Values]]:
        """Yield the values of all jobs that were added."""
        chunk, self._jobs = self._jobs, []
        if self._pool is None:
            if chunk:
                yield measure_jobs(chunk)
            return
        if chunk:
            self._waiting.append(self._pool.submit(chunk))
        while self._waiting:
            yield self._waiting.popleft().result()


@contextmanager
def measuring(workers: int) -> Iterator[Measuring]:
    """Processes that measure; they end with the block, at once where an exception ends it."""
    if not workers:
        yield Measuring(None, 0)
        return
    pool = WorkerPool(workers, measure_jobs, _prepare_worker)
    try:
        yield Measuring(pool, workers)
    finally:
        pool.close()


def _prepare_worker() -> None:
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


def measure_jobs(jobs: Sequence[Job]) -> list[Values]:
    """Measure clips, those of one group together."""
    values = []
    for name in dict.fromkeys(name for job in jobs for name in job.groups):
        members = [job for job in jobs if name in job.groups]
        found = group(name)
        requests = [
            MeasureRequest(
                job.clip, job.arguments.get("text", ""), job.arguments.get("other_text", "")
            )
            for job in members
        ]
        for job, record in zip(members, found.measure(requests), strict=True):
            arguments = job.arguments if found.uses_texts else {}
            values.append(Values(job.key, name, found.fingerprint, arguments, record))
    return values
