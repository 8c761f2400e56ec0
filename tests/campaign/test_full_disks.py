"""Disks that are full and folders that vanish or become read-only in mid-run: one line that names the
cause, exit code 2, and nothing half-written under a final name.
"""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.campaign.materials import Materials
from tests.campaign.processes import Ended, run_forked
from tests.campaign.runs import (
    CACHE,
    EVERY,
    KEEPING,
    OUT,
    WRITING,
    check_files,
    command_line,
    final_files,
)
from tests.campaign.verdicts import BAD_INPUT, faults_of_command
from tonearm.cli import main

FREE = (0, 4, 12, 40)  # KiB left on the disk
DISK = 512  # KiB
WRITES = os.O_WRONLY | os.O_RDWR


def _mount(*arguments: object) -> bool:
    command = ["mount", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of DISK KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not (shutil.which("mount") and _mount("-t", "tmpfs", "-o", f"size={DISK}k", "none", folder)):
        pytest.skip("a small file system needs the right to mount one")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _fill(folder: Path, free: int) -> None:
    """Fill a file system until `free` KiB are left."""
    state = os.statvfs(folder)
    (folder / "ballast").write_bytes(b"\0" * max(0, state.f_bavail * state.f_frsize - free * 1024))


def _run(
    name: str,
    materials: Materials,
    here: Path,
    tmp_path: Path,
    before: Callable[[], None] = lambda: None,
    cache: Path | None = None,
) -> Ended:
    line = command_line(name, materials)

    def run() -> int:
        before()
        return main(line)

    environment = {"TONEARM_CACHE": str(cache or tmp_path / CACHE)}
    return run_forked(run, here, tmp_path / "log", environment=environment)


def _check_refused(ended: Ended, here: Path, *causes: str) -> None:
    assert not faults_of_command(ended, here)
    errors = ended.err.splitlines()
    assert len(errors) == (ended.code == BAD_INPUT), ended.err
    assert not errors or any(cause in errors[0] for cause in causes), ended.err


@pytest.mark.parametrize("free", FREE)
@pytest.mark.parametrize("name", WRITING)
def test_a_full_disk_is_named(
    name: str, free: int, materials: Materials, disk: Path, tmp_path: Path
) -> None:
    (disk / OUT).mkdir()
    _fill(disk, free)
    ended = _run(name, materials, disk, tmp_path)
    (disk / "ballast").unlink()
    _check_refused(ended, disk, "the disk is full")
    assert free or ended.code == BAD_INPUT
    check_files(disk)
    if ended.code == BAD_INPUT and name not in KEEPING:
        assert not final_files(disk)


@pytest.mark.parametrize("limit", [200, 3_000])
@pytest.mark.parametrize("name", WRITING)
def test_a_limit_of_the_file_size_is_named(
    name: str, limit: int, materials: Materials, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    (here / OUT).mkdir(parents=True)

    def before() -> None:
        _, highest = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, highest))

    ended = _run(name, materials, here, tmp_path, before, cache=materials.folder / "cache")
    check_files(here)
    _check_refused(ended, here, "File too large")
    assert not final_files(here) or ended.code == 0 or name in KEEPING


def _before_the_write(number: int, folder: Path, change: Callable[[], None]) -> Callable[[], None]:
    """A function that installs a hook, which makes a change before the n-th write in a folder."""

    def install() -> None:
        left = [number]

        def watch(event: str, arguments: tuple[object, ...]) -> None:
            if not left[0] or not _is_write(event, arguments, folder):
                return
            left[0] -= 1
            if not left[0]:
                change()

        sys.addaudithook(watch)

    return install


def _is_write(event: str, arguments: tuple[object, ...], folder: Path) -> bool:
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & WRITES:
            return False
    elif event in ("os.rename", "os.mkdir"):
        path = arguments[0]
    else:
        return False
    if not isinstance(path, str | os.PathLike):
        return False
    return folder in (Path(path).absolute(), *Path(path).absolute().parents)


def _make_read_only(folder: Path) -> None:
    assert _mount("-o", "remount,bind,ro", folder), "the folder is in use"


def _replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("number", [1, 2, 3, 5])
@pytest.mark.parametrize("name", WRITING)
def test_a_folder_that_becomes_read_only(
    name: str, number: int, materials: Materials, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    (here / OUT).mkdir(parents=True)
    if not _mount("--bind", here, here):
        pytest.skip("a read-only folder needs the right to mount")
    try:
        change = _before_the_write(number, here, lambda: _make_read_only(here))
        ended = _run(name, materials, here, tmp_path, change)
        _mount("-o", "remount,bind,rw", here)
        # Temporary files cannot be removed from a read-only folder.
        for path in here.rglob("*.part*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        _check_refused(ended, here, "Read-only file system")
        check_files(here)
    finally:
        subprocess.run(["umount", "-l", here], check=True)


@pytest.mark.parametrize("change", [_replace_by_a_file, shutil.rmtree], ids=["file", "removed"])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
@pytest.mark.parametrize("name", WRITING)
def test_a_folder_that_vanishes(
    name: str, number: int, change: Callable[[Path], None], materials: Materials, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    (here / OUT).mkdir(parents=True)
    before = _before_the_write(number, here / OUT, lambda: change(here / OUT))
    ended = _run(name, materials, here, tmp_path, before)
    _check_refused(ended, here, "is a file", "Not a directory", "No such file", "File exists")
    check_files(here)


@pytest.mark.parametrize("name", EVERY)
def test_a_cache_on_a_full_disk_costs_one_warning(
    name: str, materials: Materials, disk: Path, tmp_path: Path
) -> None:
    _fill(disk, 0)
    here = tmp_path / "here"
    here.mkdir()
    ended = _run(name, materials, here, tmp_path, cache=disk / CACHE)
    assert ended.code == 0 and not faults_of_command(ended, here), ended.err
    assert all("not cached" in line for line in ended.err.splitlines())
    assert ended.err.count("\n") <= 1
    assert not final_files(disk / CACHE)


@pytest.mark.parametrize("name", EVERY)
def test_an_output_that_is_full_is_named(name: str, materials: Materials, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    line = command_line(name, materials)
    ended = run_forked(
        lambda: main(line),
        here,
        tmp_path / "log",
        stdout=Path("/dev/full"),
        environment={"TONEARM_CACHE": str(tmp_path / CACHE)},
    )
    assert ended.code == BAD_INPUT and not faults_of_command(ended, here), ended
    assert ended.err.count("\n") == 1 and "No space left" in ended.err
    check_files(here)
