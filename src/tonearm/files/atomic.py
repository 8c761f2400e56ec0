"""Atomic writing of a file, or of files that belong together: whole or absent."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tonearm.errors import TonearmError
from tonearm.files.folder_lock import folder_lock
from tonearm.files.temporary_names import remove_abandoned, temporary_name

_CAUSES = {
    errno.ENOSPC: "the disk is full; free some space, or choose another folder",
    errno.EDQUOT: "the disk quota is used up; free some space, or choose another folder",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


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
    two renames leaves no old file beside a new one. Meanwhile the first path's folder is locked, so
    that two processes leave the files of one of them.

    Args:
        paths: of files that belong together, the main one first.

    Yields:
        One temporary path in the folder of each path, with its suffix; the block writes them all.

    Raises:
        TonearmError: a folder cannot be written, or the disk is full.
    """
    for path in paths:
        check_target(path)
    temporaries = [path.with_name(temporary_name(path.suffix)) for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_abandoned(path.parent.absolute())
        yield temporaries
        for temporary in temporaries:
            _flush_to_disk(temporary)  # some file systems report a full disk only here
        with folder_lock(paths[0].parent):
            for path in paths[1:]:
                path.unlink(missing_ok=True)
            for temporary, path in zip(temporaries, paths, strict=True):
                temporary.replace(path)
    except OSError as error:
        raise TonearmError(write_error(paths[0], error)) from error
    finally:
        for temporary in temporaries:
            with suppress(OSError):  # absent already, or never possible
                temporary.unlink()


def check_target(path: Path) -> None:
    """Raise TonearmError for a device, pipe or socket, which a rename would replace, and for a
    path without a name.
    """
    if path.name in ("", ".."):
        raise TonearmError(f"cannot write {path}: it is a folder; name a file in it")
    with suppress(OSError):  # absent, or found when it is written
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise TonearmError(f"cannot write {path}: it is no plain file; choose another name")


def write_error(path: Path, error: OSError) -> str:
    """Describe why a path cannot be written, in one line."""
    cause = _CAUSES.get(error.errno or 0, f"{error.strerror or error}; choose another folder")
    return f"cannot write {path}: {cause}"


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
