"""Atomic writing: a file, or several files that belong together, are whole or absent."""

import errno
import os
import secrets
from collections.abc import Iterator, Sequence
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
        cause = _CAUSES.get(error.errno or 0, f"{error.strerror or error}; choose another folder")
        raise TonearmError(f"cannot write {paths[0]}: {cause}") from error
    finally:
        for temporary in temporaries:
            with suppress(OSError):  # absent already, or never possible
                temporary.unlink()


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
