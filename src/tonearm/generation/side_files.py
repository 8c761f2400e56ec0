"""Names of the files beside a take: sidecar, vectors and audio inputs.

All begin with the stem of the take's audio file, which is limited so that each name is possible.
"""

from pathlib import Path

from tonearm.errors import TonearmError
from tonearm.text import MAX_NAME_BYTES, check_path, quoted

VECTOR_SUFFIX = ".safetensors"
MAX_LABEL_BYTES = 40  # of a vector's name
HASH_DIGITS = 8
LONGEST_ENDING = 1 + MAX_LABEL_BYTES + 1 + HASH_DIGITS + len(VECTOR_SUFFIX)
MAX_STEM_BYTES = MAX_NAME_BYTES - LONGEST_ENDING


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
