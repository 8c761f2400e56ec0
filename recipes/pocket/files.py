"""Files that are whole or absent."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` when the block ends well."""
    aside = path.with_name(path.name + ".part")
    yield aside
    aside.replace(path)
