"""Atomic writing: a file, files that belong together, or a folder of results, whole or absent."""

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tonearm.errors import TonearmError

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
    two renames leaves no old file beside a new one.

    Args:
        paths: of files that belong together, the main one first.

    Yields:
        One temporary path in the folder of each path, with its suffix; the block writes them all.

    Raises:
        TonearmError: a folder cannot be written, or the disk is full.
    """
    temporaries = [
        path.with_name(f".{secrets.token_hex(4)}.{os.getpid()}.part{path.suffix}") for path in paths
    ]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
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

    A new folder appears by one rename. In an existing one, the file `last` and then all files of an
    earlier result are removed, other files are kept, and the new files are moved in, `last` at the
    end: where it is, the result is whole. On any error, Ctrl-C included, `folder` is unchanged.

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
    exists = folder.is_dir()
    parent = folder if exists else folder.parent
    temporary = parent / f".{secrets.token_hex(4)}.{os.getpid()}.part"
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if exists:
            _replace_result(temporary, folder, last, is_result)
        else:
            temporary.rename(folder)
    except OSError as error:
        raise TonearmError(_message(folder, error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _replace_result(
    temporary: Path, folder: Path, last: str, is_result: Callable[[str], bool]
) -> None:
    new = sorted(path.relative_to(temporary) for path in temporary.rglob("*") if path.is_file())
    (folder / last).unlink(missing_ok=True)
    for path in sorted(folder.rglob("*")):
        is_new = temporary in path.parents
        if not is_new and path.is_file() and is_result(path.relative_to(folder).as_posix()):
            path.unlink()
    for name in sorted(new, key=lambda name: name.as_posix() == last):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (temporary / name).replace(folder / name)


def _message(path: Path, error: OSError) -> str:
    cause = _CAUSES.get(error.errno or 0, f"{error.strerror or error}; choose another folder")
    return f"cannot write {path}: {cause}"


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
