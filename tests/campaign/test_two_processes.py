"""Two processes on one output folder and one cache at the same time: no mixed results."""

import sys
import time
from pathlib import Path
from random import Random

import pytest

from tests.campaign.materials import Materials
from tests.campaign.processes import Forked
from tests.campaign.runs import CACHE, EVERY, WRITING, check_files, command_line
from tests.campaign.verdicts import faults_of_command
from tonearm.cli import main

PAUSE = 0.05  # seconds before each change of names, so that two processes are amid theirs


def _slowly(seed: int) -> None:
    """Pause at every rename and removal, for random times."""
    rng = Random(seed)

    def pause(event: str, arguments: object) -> None:
        if event in ("os.rename", "os.remove"):
            time.sleep(rng.uniform(0, PAUSE))

    sys.addaudithook(pause)


def _start(name: str, materials: Materials, tmp_path: Path, seed: int, force: bool) -> Forked:
    line = command_line(name, materials, seed, force)

    def run() -> int:
        _slowly(seed)
        return main(line)

    here = tmp_path / "here"
    here.mkdir(exist_ok=True)
    environment = {"TONEARM_CACHE": str(here / CACHE)}
    return Forked(run, here, tmp_path / f"log-{seed}", environment)


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("force", [False, True], ids=["new", "force"])
@pytest.mark.parametrize("name", EVERY)
def test_two_processes_do_not_mix_their_results(
    name: str, force: bool, number: int, materials: Materials, tmp_path: Path
) -> None:
    if name not in WRITING and not force:
        pytest.skip("writes no files, so that --force is not an option")
    first = _start(name, materials, tmp_path, 2 * number + 1, force)
    second = _start(name, materials, tmp_path, 2 * number + 2, force)
    ended = [first.wait(), second.wait()]
    here = tmp_path / "here"
    for one in ended:
        assert not faults_of_command(one, here, (0, 2))
    assert 0 in [one.code for one in ended]
    check_files(here)
