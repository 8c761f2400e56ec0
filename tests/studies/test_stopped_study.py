"""`tonearm study` interrupted and killed at any moment: it ends at once, and the next run continues."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.studies.tiny_study import BEGUN, SECONDS

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LONG = 600  # seconds of a job of measuring that no test waits for
SOON = 60  # seconds within which a process ends, on a busy machine, too
STOPPED = "tonearm: stopped"


@pytest.fixture
def start(folder_of, tmp_path):
    """Starts the study of a tiny checkpoint in a folder, in a process group of its own."""
    started = []

    def start(name, *more, seconds=0):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.studies.tiny_study", "study", "facchiano2025"),
                *("--smoke", "--model", str(folder_of("melody")), "--out", str(tmp_path / name)),
                *more,
            ],
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                SECONDS: str(seconds),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stderr.readline() == f"{BEGUN}\n"
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def wait_for_takes(process, folder, count):
    """Wait until a study has stored some takes; False if it has ended before."""
    while sum(not one.name.startswith(".") for one in folder.rglob("*.flac")) < count:
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    return True


def workers_of(process):
    """The worker processes of a study."""
    found = psutil.Process(process.pid).children()
    return [one for one in found if "spawn_main" in " ".join(one.cmdline())]


def ends(process):
    """Exit code and lines of stderr of a process that is to end soon."""
    _, errors = process.communicate(timeout=SOON)
    return process.returncode, errors.splitlines()


@pytest.mark.parametrize("group", [True, False], ids=["terminal", "process"])
def test_ctrl_c_does_not_wait_for_the_measures(start, tmp_path, group):
    process = start("run", seconds=LONG)
    assert wait_for_takes(process, tmp_path / "run", 5)
    while not (workers := workers_of(process)):
        time.sleep(0.01)
    (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
    code, errors = ends(process)
    assert code == 130
    assert errors == [
        f"{STOPPED}; what was made is in {tmp_path / 'run'}, and the same command with --resume "
        "continues"
    ]
    assert not any(one.is_running() for one in workers)


@pytest.mark.parametrize("pause", [0, 0.02, 0.2])
def test_ctrl_c_twice_is_one_line_too(start, tmp_path, pause):
    process = start("run", seconds=LONG)
    assert wait_for_takes(process, tmp_path / "run", 5)
    workers = workers_of(process)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(pause)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    code, errors = ends(process)
    # Python restores the system's handler at its own end, after the command's.
    assert code in (130, -signal.SIGINT)
    assert len(errors) == 1 and errors[0].startswith(STOPPED)
    assert not any(one.is_running() for one in workers)
