"""Names of temporary files and folders, and removal of those whose writer was killed.

Temporary names begin with a dot and hold the machine, process and start time of their writer, so
that the next writer in a folder can remove those of processes that were killed. The start time tells
a process from a later one with its number.
"""

import os
import platform
import re
import secrets
import shutil
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import psutil

START_TOLERANCE = 10.0  # seconds by which a start time may seem to move when the clock is set
_TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.([0-9a-f]{8}-\d+-\d+)\.part(\..*)?")
_ASIDE = re.compile(r"\.(.+)\.([0-9a-f]{8}-\d+-\d+)\.old")


def temporary_name(suffix: str = "") -> str:
    """New name for a file or folder of this process that is being written."""
    return f".{secrets.token_hex(4)}.{owner()}.part{suffix}"


def aside_name(name: str) -> str:
    """Name under which this process keeps a folder while another takes its place."""
    return f".{name}.{owner()}.old"


def owner() -> str:
    """This process, for a name."""
    return f"{_machine()}-{os.getpid()}-{round(psutil.Process().create_time())}"


@lru_cache(maxsize=64)  # once for each folder of a run: many takes go into one
def remove_abandoned(folder: Path) -> None:
    """Remove temporary files and folders of processes that were killed."""
    for path in _entries(folder):
        found = _TEMPORARY.fullmatch(path.name)
        if found and _has_died(found[1]):
            remove(path)


def abandoned_asides(folder: Path) -> list[Path]:
    """Folders that a killed process renamed to put another in the place of `folder`."""
    found = [(path, _ASIDE.fullmatch(path.name)) for path in _entries(folder.parent)]
    return [
        path for path, match in found if match and match[1] == folder.name and _has_died(match[2])
    ]


def remove(path: Path) -> None:
    """Remove a file or folder as far as it can be removed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _has_died(owner: str) -> bool:
    """Whether the process is known not to run; those of other machines are not known."""
    machine, number, started = owner.split("-")
    if machine != _machine():
        return False
    try:
        now = psutil.Process(int(number)).create_time()
    except (psutil.NoSuchProcess, OverflowError):
        return True
    except psutil.Error:
        return False
    return abs(now - int(started)) > START_TOLERANCE


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # writing into it reports the reason
        return []
