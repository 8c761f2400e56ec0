"""Index of a folder that a run fills and a stopped run resumes: written first, and equal at later
runs.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.schema import Declared

INDEX = "index.json"
FREE = ("library_version",)  # fields that may differ between runs

Info = TypeVar("Info", bound=Declared)


def begin_folder(
    folder: Path,
    info: Info,
    read: Callable[[Path], Info],
    *,
    content: str,
    other: str,
    hashed: Mapping[str, str],
) -> None:
    """Write the index of a new folder, or check that of the folder as it is.

    Args:
        folder: to be filled.
        info: index of this run.
        read: reads the index in a folder.
        content: of the folder, for the messages, such as clips.
        other: the same of another run, such as other clips.
        hashed: the difference in words, by the start of a field that holds a hash or a number of
            the data.

    Raises:
        TonearmError: the folder holds the content of another run, or other files.
    """
    if (folder / INDEX).is_file():
        found = read(folder)
        for key in type(info).model_fields:
            ours, theirs = getattr(info, key), getattr(found, key)
            if ours != theirs and key not in FREE:
                words = [text for start, text in hashed.items() if key.startswith(start)]
                reason = words[0] if words else f"{key} {theirs}, not {ours}"
                raise TonearmError(
                    f"{folder} holds {other} ({reason}); choose another folder, or delete this one"
                )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise TonearmError(
            f"{folder} is not empty and holds no {INDEX}; choose another folder for {content}"
        )
    with atomic_write(folder / INDEX) as temporary:
        temporary.write_text(info.model_dump_json(indent=1), encoding="utf-8")
