"""Jobs: one after the other, and all ended by one request."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tonearm.errors import TonearmError
from tonearm.harp.jobs import MAX_JOBS, Cancelled, Jobs

TIMEOUT = 60  # seconds


def holding(begun: threading.Event, go_on: threading.Event):
    """A job that begins, waits, and looks whether it was cancelled."""

    def work(progress):
        begun.set()
        assert go_on.wait(TIMEOUT)
        progress(1, 2)
        return "done"

    return work


def test_jobs_run_one_after_the_other():
    jobs, running, most = Jobs(), 0, 0

    def work(progress):
        nonlocal running, most
        running += 1
        most = max(most, running)
        progress(1, 1)
        running -= 1
        return most

    with ThreadPoolExecutor(6) as pool:
        found = [pool.submit(jobs.run, work) for _ in range(6)]
        assert [one.result(TIMEOUT) for one in found] == [1] * 6


def test_a_cancel_ends_the_job_that_runs_and_those_that_wait_and_no_later_one():
    jobs, begun, go_on = Jobs(), threading.Event(), threading.Event()
    ran = []
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(jobs.run, holding(begun, go_on))
        assert begun.wait(TIMEOUT)
        second = pool.submit(jobs.run, lambda progress: ran.append(1))
        while len(jobs._jobs) < 2:
            threading.Event().wait(0.01)
        jobs.cancel()
        go_on.set()
        for one in (first, second):
            with pytest.raises(Cancelled, match="the take was cancelled"):
                one.result(TIMEOUT)
    assert not ran
    assert jobs.run(lambda progress: progress(1, 1) or "done") == "done"


def test_a_fault_lets_the_next_job_run():
    jobs = Jobs()
    with pytest.raises(ZeroDivisionError):
        jobs.run(lambda progress: 1 / 0)
    assert jobs.run(lambda progress: 2) == 2


def test_too_many_jobs_are_refused():
    jobs, begun, go_on = Jobs(), threading.Event(), threading.Event()
    with ThreadPoolExecutor(MAX_JOBS) as pool:
        found = [pool.submit(jobs.run, holding(begun, go_on)) for _ in range(MAX_JOBS)]
        while len(jobs._jobs) < MAX_JOBS:
            threading.Event().wait(0.01)
        with pytest.raises(TonearmError, match="8 takes are queued already"):
            jobs.run(lambda progress: 1)
        go_on.set()
        assert [one.result(TIMEOUT) for one in found] == ["done"] * MAX_JOBS
