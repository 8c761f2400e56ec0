"""Folder for files that are needed while a function runs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tonearm.errors import TonearmError
from tonearm.files.atomic import write_error
from tonearm.files.temporary_names import remove, remove_abandoned, temporary_name


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder among the system's temporary files (TMPDIR), and remove it afterwards.

    That of a killed process is removed by the next one.

    Raises:
        TonearmError: it cannot be made.
    """
    parent = Path(tempfile.gettempdir())
    remove_abandoned(parent)
    folder = parent / temporary_name()
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise TonearmError(write_error(folder, error)) from error
    try:
        yield folder
    finally:
        remove(folder)
