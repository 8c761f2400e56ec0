"""Names of the files beside a take: sidecar, vectors and audio inputs; paths in a sidecar.

All begin with the stem of the take's audio file, which is limited so that each name is possible.
"""

import os
from pathlib import Path

from tonearm.errors import TonearmError
from tonearm.text import MAX_NAME_BYTES, check_path, quoted

VECTOR_SUFFIX = ".safetensors"
MAX_LABEL_BYTES = 40  # of a vector's name
HASH_DIGITS = 8
LONGEST_ENDING = 1 + MAX_LABEL_BYTES + 1 + HASH_DIGITS + len(VECTOR_SUFFIX)
MAX_STEM_BYTES = MAX_NAME_BYTES - LONGEST_ENDING
FOLDERS_OF_HOMES = ("home", "Users")


def check_take_path(path: Path) -> None:
    """Raise TonearmError if the audio file or a file beside it could not have its name."""
    check_path(path, "the output")
    size = len(path.stem.encode())
    if size > MAX_STEM_BYTES:
        raise TonearmError(
            f"cannot write {quoted(str(path))}: its name has {size} bytes before the ending, and "
            f"files beside it have longer names; use at most {MAX_STEM_BYTES}"
        )


def sidecar_path(path: Path) -> Path:
    """The JSON beside an audio file."""
    return path.with_suffix(".json")


def vector_path(path: Path, name: str, content_hash: str) -> Path:
    """File of a vector that steered the take and ships with no package."""
    label = Path(name).stem.encode()[:MAX_LABEL_BYTES].decode(errors="ignore")
    return path.with_name(f"{path.stem}.{label}-{content_hash[:HASH_DIGITS]}{VECTOR_SUFFIX}")


def input_path(path: Path, role: str) -> Path:
    """File of an audio input, "audio_prompt" or "melody", that came from no file."""
    return path.with_name(f"{path.stem}.{role}.wav")


def stored_path(file: Path, folder: Path) -> str:
    """Return the path of an input as a sidecar in `folder` names it, with forward slashes.

    It is relative to the folder, or the name alone where a relative path would lead through a
    folder of homes: takes are given away, and no file of theirs contains a user's name.
    """
    below = _relative(file.absolute(), folder.absolute())
    if below is not None:
        return below
    # ".." leads from the real folder, whatever links lead to it
    real, start = file.parent.resolve() / file.name, folder.resolve()
    common = next((parent for parent in real.parents if start.is_relative_to(parent)), None)
    if common is None or _has_homes(common):
        return file.name
    return Path(os.path.relpath(real, start)).as_posix()


def _relative(file: Path, folder: Path) -> str | None:
    """Path of a file below a folder; None elsewhere, and where it contains "..", which links bend."""
    is_below = file.is_relative_to(folder) and ".." not in file.relative_to(folder).parts
    return file.relative_to(folder).as_posix() if is_below else None


def _has_homes(folder: Path) -> bool:
    """Whether users' homes are, or may be, below a folder."""
    homes = {Path.home(), Path.home().resolve()}
    within = any(folder in home.parents for home in homes)
    return within or folder == Path(folder.anchor) or folder.name in FOLDERS_OF_HOMES


def input_places(sidecar: Path, stored: str) -> list[Path]:
    """Places where an input of a take may be now: by the sidecar, then by the working directory.

    Args:
        sidecar: of the take.
        stored: path in the sidecar; in older ones it is absolute.
    """
    name = Path(stored).name
    folder = sidecar.parent
    return list(dict.fromkeys([folder / stored, folder / name, Path(stored), Path(name)]))
