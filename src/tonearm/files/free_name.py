"""The next free name of a numbered file."""

from collections.abc import Iterator
from pathlib import Path


def free_name(folder: Path, stem: str, ending: str) -> Path:
    """The first of `stem-1`, `stem-2`, ... with an ending that is free in a folder.

    A name with an ending is free where no file has its stem: the sidecar and the inputs of a take
    whose audio was moved are kept.

    Args:
        folder: need not exist.
        stem: of the name.
        ending: such as `.wav`; empty for a folder.
    """
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    used = {part for name in names for part in _stems(name)} if ending else set(names)
    number = 1
    while f"{stem}-{number}" in used or (folder / f"{stem}-{number}{ending}").exists():
        number += 1  # the second where a file system ignores case
    return folder / f"{stem}-{number}{ending}"


def _stems(name: str) -> Iterator[str]:
    """The parts of a name before each of its dots."""
    return (name[:at] for at, character in enumerate(name) if character == ".")
