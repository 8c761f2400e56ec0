"""Atomic writing of a folder of results: whole or absent."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tonearm.errors import TonearmError
from tonearm.files.atomic import check_target, write_error
from tonearm.files.folder_lock import folder_lock
from tonearm.files.real_path import real_path
from tonearm.files.temporary_names import (
    abandoned_asides,
    aside_name,
    remove,
    remove_abandoned,
    temporary_name,
)


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
    target = real_path(folder)  # a link to a folder stays one
    check_target(target)
    repair_folder(target)
    exists = target.is_dir()
    inside = exists and not _can_be_renamed(target)
    parent = target if inside else target.parent
    temporary = parent / temporary_name()
    try:
        temporary.mkdir(parents=True)
        remove_abandoned(parent)
        yield temporary
        with folder_lock(parent):
            if not exists:
                temporary.rename(target)
                return
            new = [path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file()]
            if inside or not _swap(temporary, target, last, is_result):
                _replace_result(temporary, target, new, last, is_result)
    except OSError as error:
        raise TonearmError(write_error(folder, error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def repair_folder(folder: Path) -> None:
    """Complete the replacement of a folder by a process that was killed during it."""
    folder = real_path(folder)
    for path in abandoned_asides(folder):
        if folder.exists():
            remove(path)
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
    aside = folder.with_name(aside_name(folder.name))
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
    remove(aside)
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
