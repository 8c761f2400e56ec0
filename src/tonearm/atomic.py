"""Atomic writing: a file, files that belong together, or a folder of results, whole or absent.

Temporary names begin with a dot and hold the machine, process and start time of their writer, so
that the next writer in a folder can remove those of processes that were killed. The start time tells
a process from a later one with its number.
"""

import errno
import os
import platform
import re
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import psutil

from tonearm.errors import TonearmError

_CAUSES = {
    errno.ENOSPC: "the disk is full; free some space, or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}
START_TOLERANCE = 10.0  # seconds by which a start time may seem to move when the clock is set
_TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.([0-9a-f]{8}-\d+-\d+)\.part(\..*)?")
_ASIDE = re.compile(r"\.(.+)\.([0-9a-f]{8}-\d+-\d+)\.old")


def _temporary_name(suffix: str = "") -> str:
    return f".{secrets.token_hex(4)}.{_owner()}.part{suffix}"


def _machine() -> str:
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _owner() -> str:
    """This process, for a name."""
    return f"{_machine()}-{os.getpid()}-{round(psutil.Process().create_time())}"


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


@cache  # once for each folder of a run: many takes go into one
def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files and folders of processes that were killed."""
    for path in _entries(folder):
        found = _TEMPORARY.fullmatch(path.name)
        if found and _has_died(found[1]):
            _remove(path)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # writing into it reports the reason
        return []


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` when the block ends without an
    error.

    On any error, Ctrl-C included, `path` is unchanged and the temporary file is removed.

    Raises:
        TonearmError: the folder cannot be written, or the disk is full.
    """
    with atomic_write_all([Path(path)]) as (temporary,):
        yield temporary


@contextmanager
def atomic_write_all(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield temporary paths that replace `paths` together.

    No path changes before every temporary file is on the disk. Then all paths but the first are
    removed, and the temporary files are renamed in their order, so that a process killed between
    two renames leaves no old file beside a new one.

    Args:
        paths: of files that belong together, the main one first.

    Yields:
        One temporary path in the folder of each path, with its suffix; the block writes them all.

    Raises:
        TonearmError: a folder cannot be written, or the disk is full.
    """
    temporaries = [path.with_name(_temporary_name(path.suffix)) for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(path.parent.absolute())
        yield temporaries
        for temporary in temporaries:
            _flush_to_disk(temporary)  # some file systems report a full disk only here
        for path in paths[1:]:
            path.unlink(missing_ok=True)
        for temporary, path in zip(temporaries, paths, strict=True):
            temporary.replace(path)
    except OSError as error:
        raise TonearmError(_message(paths[0], error)) from error
    finally:
        for temporary in temporaries:
            with suppress(OSError):  # absent already, or never possible
                temporary.unlink()


@contextmanager
def atomic_folder(
    folder: str | os.PathLike[str], last: str, is_result: Callable[[str], bool]
) -> Iterator[Path]:
    """Yield a temporary folder, whose content becomes that of `folder` if the block succeeds.

    A new folder appears by one rename. An existing one is renamed aside, the new one takes its name,
    and the old one is removed; files in it that are not of a result are kept. A process killed
    between the two renames leaves no folder, and the next call, or `repair_folder`, puts the old one
    back. On any error, Ctrl-C included, `folder` is unchanged.

    A folder that cannot be renamed (a mount point, the working directory, one in a folder that
    cannot be written) is changed in place: `last` is removed first and written at the end, so that
    the result is whole where `last` is.

    Args:
        folder: of the result.
        last: the file that refers to the others, such as a page.
        is_result: whether a path in `folder`, such as "listen/plain.wav", is one of a result.

    Yields:
        A folder on the same file system.

    Raises:
        TonearmError: the folder cannot be written, or the disk is full.
    """
    folder = Path(folder)
    target = folder.resolve()  # a link to a folder stays one
    repair_folder(target)
    exists = target.is_dir()
    inside = exists and not _can_be_renamed(target)
    parent = target if inside else target.parent
    temporary = parent / _temporary_name()
    try:
        temporary.mkdir(parents=True)
        _remove_abandoned(parent)
        yield temporary
        if not exists:
            temporary.rename(target)
            return
        new = [path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file()]
        if inside or not _swap(temporary, target, last, is_result):
            _replace_result(temporary, target, new, last, is_result)
    except OSError as error:
        raise TonearmError(_message(folder, error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def repair_folder(folder: Path) -> None:
    """Complete the replacement of a folder by a process that was killed during it."""
    folder = folder.resolve()
    for path in _entries(folder.parent):
        found = _ASIDE.fullmatch(path.name)
        if not found or found[1] != folder.name or not _has_died(found[2]):
            continue
        if folder.exists():
            _remove(path)
        else:
            with suppress(OSError):
                path.rename(folder)


def _can_be_renamed(folder: Path) -> bool:
    try:
        is_here = Path.cwd().is_relative_to(folder)
    except OSError:  # the working directory was removed
        is_here = False
    return not is_here and not folder.is_mount() and os.access(folder.parent, os.W_OK | os.X_OK)


def _swap(temporary: Path, folder: Path, last: str, is_result: Callable[[str], bool]) -> bool:
    """Put the temporary folder in the place of a folder; False where the file system cannot."""
    aside = folder.with_name(f".{folder.name}.{_owner()}.old")
    try:
        _link_others(folder, temporary, last, is_result)
        folder.rename(aside)
    except OSError:
        return False
    try:
        temporary.rename(folder)
    except BaseException:
        if not folder.exists():
            aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
    return True


def _link_others(old: Path, new: Path, last: str, is_result: Callable[[str], bool]) -> None:
    """Give the files of a folder that are not of a result a second name in another folder."""
    for path in sorted(old.rglob("*")):
        name = path.relative_to(old)
        if path.is_symlink():
            (new / name).symlink_to(path.readlink())
        elif path.is_dir():
            (new / name).mkdir(exist_ok=True)
            shutil.copystat(path, new / name)
        elif name.as_posix() != last and not is_result(name.as_posix()):
            with suppress(FileExistsError):  # a file of the new result has its name
                (new / name).hardlink_to(path)
    shutil.copystat(old, new)


def _replace_result(
    temporary: Path,
    folder: Path,
    new: Sequence[Path],
    last: str,
    is_result: Callable[[str], bool],
) -> None:
    (folder / last).unlink(missing_ok=True)
    for path in sorted(folder.rglob("*")):
        is_new = temporary in path.parents
        if not is_new and path.is_file() and is_result(path.relative_to(folder).as_posix()):
            path.unlink()
    for name in sorted(new, key=lambda name: (name.as_posix() == last, name)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (temporary / name).replace(folder / name)


def _message(path: Path, error: OSError) -> str:
    cause = _CAUSES.get(error.errno or 0, f"{error.strerror or error}; choose another folder")
    return f"cannot write {path}: {cause}"


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
