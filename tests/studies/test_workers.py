"""Worker processes: results, errors, processes that die, and ends at any moment."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tonearm.errors import TonearmError
from tonearm.studies.measuring import _prepare_worker
from tonearm.studies.workers import ATTEMPTS, WorkerError, WorkerPool

LONG = 600  # seconds of a job that no test waits for
SOON = 60  # seconds within which processes end, on a busy machine, too


def nothing():
    pass


def do(job):
    """Jobs of the tests, in a worker."""
    name, value = job
    if name == "die once" and not Path(value).exists():
        Path(value).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "die":
        os.kill(os.getpid(), value)
    if name == "exit":
        os._exit(value)
    if name == "refuse":
        raise TonearmError(value)
    if name == "fail":
        return 1 / value
    if name == "wait":
        time.sleep(value)
    return os.getpid()


def shows_bars(_):
    import transformers

    return transformers.logging.is_progress_bar_enabled()


def test_measuring_processes_show_no_progress_bars():
    """The terminal belongs to the process that started them."""
    measuring = WorkerPool(1, shows_bars, _prepare_worker)
    try:
        assert measuring.submit(None).result() is False
    finally:
        measuring.close()


@pytest.fixture
def pool():
    pool = WorkerPool(2, do, nothing)
    yield pool
    pool.close()


def children():
    """Processes that this one has started, without multiprocessing's tracker."""
    found = psutil.Process().children()
    return [one for one in found if "spawn_main" in " ".join(one.cmdline())]


def test_jobs_are_done_in_a_few_processes_of_their_own(pool):
    results = [pool.submit(("do", i)) for i in range(6)]
    numbers = {one.result() for one in results}
    assert 1 <= len(numbers) <= 2 and os.getpid() not in numbers
    assert {one.pid for one in children()} >= numbers
    pool.close()
    assert not children()


def test_errors_of_a_job_are_raised_here(pool):
    with pytest.raises(TonearmError, match=r"^no such text$"):
        pool.submit(("refuse", "no such text")).result()
    with pytest.raises(WorkerError, match=r"return 1 / value\n(.*\n)*ZeroDivisionError"):
        pool.submit(("fail", 0)).result()
    assert pool.submit(("fail", 2)).result() == 0.5


def test_the_job_of_a_process_that_dies_is_done_again(pool, tmp_path, caplog):
    others = [pool.submit(("do", i)) for i in range(4)]
    again = pool.submit(("die once", str(tmp_path / "died")))
    assert again.result() > 0 and all(one.result() > 0 for one in others)
    (warning,) = caplog.records
    assert warning.getMessage() == (
        f"a worker process was killed by SIGKILL in attempt 1 of {ATTEMPTS} at a job"
    )


@pytest.mark.parametrize(
    ("job", "how"),
    [
        (("die", signal.SIGKILL), "was killed by SIGKILL"),
        (("die", signal.SIGSEGV), "was killed by SIGSEGV"),
        (("exit", 3), "ended with exit code 3"),
    ],
)
def test_a_job_that_always_ends_its_process_is_one_line(pool, job, how, caplog):
    with pytest.raises(TonearmError, match=f"^a worker process {how} in {ATTEMPTS} attempts") as e:
        pool.submit(job).result()
    assert "fewer --workers" in str(e.value) and "\n" not in str(e.value)
    assert len(caplog.records) == ATTEMPTS
    assert pool.submit(("do", 0)).result() > 0


def test_close_ends_running_jobs_and_drops_waiting_ones(pool, caplog):
    begun = time.monotonic()
    running = [pool.submit(("do", 0)) for _ in range(2)]
    assert all(one.result() for one in running)
    waiting = [pool.submit(("wait", LONG)) for _ in range(5)]
    pool.close()
    assert time.monotonic() - begun < SOON and not children()
    assert all(one.done() for one in waiting) and not caplog.records


PARENT = """
import signal, sys
from concurrent.futures import wait
from tests.studies.test_workers import LONG, do, nothing
from tonearm.studies.workers import WorkerPool
if __name__ == "__main__":
    if sys.argv[1] == "interrupted":
        signal.signal(signal.SIGINT, lambda *_: None)
    print("begun", flush=True)
    pool = WorkerPool(2, do, nothing)
    print(*[one.result() for one in [pool.submit(("wait", 1)) for _ in range(2)]], flush=True)
    if sys.argv[1] == "busy":
        wait([pool.submit(("wait", LONG)) for _ in range(2)])
    sys.stdin.read()
    pool.close()
"""


def start_parent(folder, state):
    """A process with two workers; a group of its own."""
    script = folder / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script), state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        text=True,
        start_new_session=True,
    )
    assert parent.stdout.readline() == "begun\n"
    return parent


@pytest.mark.slow
@pytest.mark.parametrize("state", ["busy", "idle"])
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_process_that_is_killed(tmp_path, state, sent):
    parent = start_parent(tmp_path, state)
    workers = [psutil.Process(int(number)) for number in parent.stdout.readline().split()]
    assert workers and all(one.is_running() for one in workers)
    parent.send_signal(sent)
    assert parent.wait() == -sent
    _, alive = psutil.wait_procs(workers, timeout=SOON)
    assert not alive


@pytest.mark.slow
def test_workers_do_not_receive_the_ctrl_c_of_a_terminal(tmp_path):
    """SIGINT of the whole process group, from the start of the workers on, leaves no traceback."""
    parent = start_parent(tmp_path, "interrupted")
    while not select.select([parent.stdout], [], [], 0.1)[0]:
        os.killpg(parent.pid, signal.SIGINT)
    assert parent.stdout.readline().split()
    _, errors = parent.communicate()
    assert (parent.returncode, errors) == (0, "")
