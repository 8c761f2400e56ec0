"""`tonearm study` interrupted, killed and on a full disk: it ends at once, and the next run continues
to the same study.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import psutil
import pytest

from tests.studies.tiny_study import BEGUN, SECONDS
from tonearm.studies.measuring import CLIPS_PER_JOB
from tonearm.studies.store import Store

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LONG = 600  # seconds of a job of measuring that no test waits for
SOON = 60  # seconds within which a process ends, on a busy machine, too
STOPPED = "tonearm: stopped"
KILLS = 6
# Table of a store -> its columns without the times at which takes were made
TABLES = {
    "takes": "key, description, audio, sample_rate, scale, codes, codebooks",
    "measurements": "*",
    "studies": "*",
    "trials": "*",
}


def begin(checkpoint, folder, *more, seconds=0):
    """Start the study of a checkpoint in a process group of its own."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.studies.tiny_study", "study", "facchiano2025"),
            *("--smoke", "--model", str(checkpoint), "--out", str(folder), *more),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), SECONDS: str(seconds)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr.readline() == f"{BEGUN}\n"
    return process


@pytest.fixture
def start(folder_of, tmp_path):
    """Starts the study in a folder of a name; what still runs in the end is killed."""
    started = []

    def start(name, *more, seconds=0):
        process = begin(folder_of("melody"), tmp_path / name, *more, seconds=seconds)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def undisturbed(folder_of, tmp_path_factory):
    """The folder of a run that nothing stops."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    check_whole(begin(folder_of("melody"), folder))
    return folder


def wait_for_takes(process, folder, count):
    """Wait until a study has stored some takes, or has ended."""
    while process.poll() is None and len(takes_in(folder)) < count:
        time.sleep(0.01)


def takes_in(folder):
    return [path for path in folder.rglob("*.flac") if not path.name.startswith(".")]


def workers_of(process):
    """The worker processes of a study."""
    try:
        found = psutil.Process(process.pid).children()
        return [one for one in found if "spawn_main" in " ".join(one.cmdline())]
    except psutil.NoSuchProcess:
        return []


def ends(process, within=SOON):
    """Exit code and errors of a process; the vocabulary of a tiny checkpoint has warnings."""
    _, shown = process.communicate(timeout=within)
    errors = [line for line in shown.splitlines() if not line.startswith("tonearm: warning: ")]
    return process.returncode, errors


def check_whole(process):
    """Assert that a run ends by itself, complete."""
    assert ends(process, within=None) == (0, [])


def content(folder):
    """Rows of a store's tables; each audio file is read."""
    with Store.existing(folder) as store:
        for (key,) in store._database.execute("SELECT key FROM takes").fetchall():
            store.clip(key)
        return {
            table: sorted(map(repr, store._database.execute(f"SELECT {columns} FROM {table}")))
            for table, columns in TABLES.items()
        }


def check_equal(folder, undisturbed):
    """Assert that a run left what an undisturbed one leaves, and no file of a killed writer."""
    files, expected = (
        sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
        for one in (folder, undisturbed)
    )
    assert files == expected
    assert content(folder) == content(undisturbed)


@pytest.mark.parametrize("group", [True, False], ids=["terminal", "process"])
def test_ctrl_c_does_not_wait_for_the_measures(start, tmp_path, group):
    process = start("run", seconds=LONG)
    wait_for_takes(process, tmp_path / "run", CLIPS_PER_JOB)
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
    wait_for_takes(process, tmp_path / "run", 5)
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


def test_kills_at_random_moments_change_nothing(start, tmp_path, undisturbed):
    """Of the whole process group, or of the command alone, whose workers then end by themselves."""
    draw, folder, count = Random(0), tmp_path / "run", len(takes_in(undisturbed))
    codes = []
    for moment in sorted(draw.randrange(count) for _ in range(KILLS)):
        process = start("run", "--resume", seconds=0.5)
        wait_for_takes(process, folder, moment)
        time.sleep(draw.choice([0.1, 1, 3]) * draw.random())
        workers = workers_of(process)
        kill = draw.choice([os.kill, os.killpg])
        kill(process.pid, signal.SIGKILL)
        codes.append(process.wait())
        assert not psutil.wait_procs(workers, timeout=SOON)[1]
    assert set(codes) <= {0, -signal.SIGKILL} and codes.count(-signal.SIGKILL) >= KILLS / 2
    check_whole(start("run", "--resume"))
    check_equal(folder, undisturbed)


@pytest.fixture
def disk(tmp_path):
    """A file system of a size that can be changed, in bytes."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def size(count, *more):
        options = ",".join([*more, f"size={count}"])
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    if not (shutil.which("mount") and size(2**20)):
        pytest.skip("a small file system needs the right to mount one")
    yield lambda count: size(count, "remount")
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_full_disk_is_one_line_and_the_next_run_continues(
    start, tmp_path, disk, undisturbed, share
):
    used = sum(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file())
    assert disk(int(share * used))
    code, errors = ends(start("disk/run", "--workers", "0"), within=None)
    assert code == 2 and len(errors) == 1 and "full" in errors[0], errors
    assert disk(100 * used)
    check_whole(start("disk/run", "--resume"))
    check_equal(tmp_path / "disk" / "run", undisturbed)
