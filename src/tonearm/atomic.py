"""Atomic writing: a file is whole or absent."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tonearm.errors import TonearmError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` when the block ends without an
    error.

    On any error, Ctrl-C included, `path` is unchanged and the temporary file is removed.

    Raises:
        TonearmError: the folder cannot be written, or the disk is full.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise TonearmError(
                f"cannot write {path}: the disk is full; free some space, or choose another folder"
            ) from error
        raise TonearmError(
            f"cannot write {path}: {error.strerror or error}; choose another folder"
        ) from error
    finally:
        with suppress(OSError):  # absent already, or never possible
            aside.unlink()
