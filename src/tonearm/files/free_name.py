"""The next free name of a numbered file."""

from pathlib import Path


def free_name(folder: Path, stem: str, ending: str) -> Path:
    """The first of `stem-1`, `stem-2`, ... with an ending that is not in a folder yet.

    Args:
        folder: need not exist.
        stem: of the name.
        ending: such as `.wav`; empty for a folder.
    """
    number = 1
    while (path := folder / f"{stem}-{number}{ending}").exists():
        number += 1
    return path
