"""Commands killed (SIGKILL) and interrupted (SIGINT) at random moments: no partial file, no file left
behind, and the same command runs afterwards.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from unittest.mock import patch

import pytest

from tests.campaign.materials import OFFLINE, Materials
from tests.campaign.processes import Forked, run_forked
from tests.campaign.runs import CACHE, EVERY, check_files, command_line
from tests.campaign.verdicts import INTERRUPTED, faults_of_command, unfinished_files
from tonearm.cli import _app, main
from tonearm.files.temporary_names import temporary_name

MOMENTS = range(4)  # per command and signal
LATEST = 1.1  # in durations of the whole command

START = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from tonearm.cli import main; import sys; print('begun', file=sys.stderr, flush=True); "
    "sys.exit(main({line!r}))"
)


@pytest.fixture(scope="session")
def duration_of(
    materials: Materials, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], float]:
    """Command -> seconds of a run of it that nothing stops."""
    known: dict[str, float] = {}

    def duration(name: str) -> float:
        if name not in known:
            folder = tmp_path_factory.mktemp("whole")
            ended = _start(name, materials, folder).wait()
            assert ended.code == 0, ended.err
            known[name] = ended.seconds
        return known[name]

    return duration


def _start(name: str, materials: Materials, folder: Path, seed: int = 1) -> Forked:
    here = folder / "here"
    here.mkdir(exist_ok=True)
    line = command_line(name, materials, seed)
    environment = {"TONEARM_CACHE": str(here / CACHE)}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:  # the fork inherits the mask
        log = folder / f"log-{time.monotonic_ns()}"
        return Forked(lambda: _interruptible(line), here, log, environment)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _interruptible(line: list[str]) -> int:
    """Run a command; SIGINT, which is blocked, acts where `main` handles it."""
    run = _app.run

    def unblocked(arguments: Sequence[str] | None) -> int:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            return run(arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    with patch.object(_app, "run", unblocked):
        return main(line)


@pytest.mark.parametrize("number", MOMENTS)
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
@pytest.mark.parametrize("name", EVERY)
def test_a_stopped_command_leaves_whole_files_and_runs_again(
    name: str,
    sent: signal.Signals,
    number: int,
    materials: Materials,
    duration_of: Callable[[str], float],
    tmp_path: Path,
) -> None:
    rng = Random(f"{name}-{sent}-{number}")
    if number % 2:  # over the files of an earlier run
        assert _start(name, materials, tmp_path, seed=1).wait().code == 0
    process = _start(name, materials, tmp_path, seed=2)
    time.sleep(rng.uniform(0, LATEST) * duration_of(name))
    process.send(sent)
    ended = process.wait()
    here = tmp_path / "here"
    if sent == signal.SIGKILL:
        assert ended.killed_by == sent or ended.code == 0, ended.err
    else:
        assert not faults_of_command(ended, here, (0, INTERRUPTED))
        lines = ended.err.splitlines()
        assert len(lines) == (ended.code == INTERRUPTED), ended.err
    check_files(here)
    again = _start(name, materials, tmp_path, seed=2).wait()
    assert again.code == 0, again.err
    check_files(here)
    assert not unfinished_files(here)


@pytest.mark.parametrize("name", EVERY)
def test_an_interrupted_process_ends_without_a_traceback(
    name: str, materials: Materials, tmp_path: Path
) -> None:
    """Real processes, interrupted while libraries are imported, too."""
    rng = Random(name)
    for moment in (rng.uniform(0, 0.1), rng.uniform(0.1, 2.5)):
        program = START.format(line=command_line(name, materials))
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **OFFLINE, "TONEARM_CACHE": str(tmp_path / CACHE)},
        )
        assert process.stderr is not None and process.stderr.readline() == "begun\n"
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=60)
        # Python restores the system's handler at its own end, after the command's.
        assert process.returncode in (0, INTERRUPTED, -signal.SIGINT), (moment, shown)
        assert shown.count("\n") == (process.returncode == INTERRUPTED), (moment, shown)
        check_files(tmp_path)
        assert not unfinished_files(tmp_path)


def test_a_leftover_of_a_living_process_is_kept(materials: Materials, tmp_path: Path) -> None:
    """The clean-up removes temporary files of dead processes alone."""
    out = tmp_path / "here" / "out"
    out.mkdir(parents=True)
    living = out / temporary_name(".wav")
    living.write_text("x")
    ended = run_forked(
        lambda: main(command_line("generate", materials)), tmp_path / "here", tmp_path / "log"
    )
    assert ended.code == 0, ended.err
    assert living.exists()
