"""Text and JSON files of users: sizes are limited before they are read, errors are one line.

Pipes are read like files, such as those of a shell's `<(...)`. A pipe that nobody writes to is
empty.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.text import first_line, quoted

MIB = 2**20
MAX_TEXT_BYTES = 32 * MIB  # the sidecar of an hour's stream with a change at every frame has 25 MiB
MAX_REASON = 200  # characters of another library's message


def read_text(path: str | os.PathLike[str], kind: str, remedy: str) -> str:
    """Read UTF-8 text, with or without a byte order mark.

    Args:
        path: of the file.
        kind: of the file, for the message: "prompt file".
        remedy: end of the message: what to give instead.

    Raises:
        TonearmError: no file, or one that cannot be read, is not UTF-8 or is larger than
            MAX_TEXT_BYTES.
    """
    path = Path(boundary.path(path, kind))
    if path.is_dir():
        raise TonearmError(f"{path} is a folder; {remedy}")
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            content = file.read(MAX_TEXT_BYTES + 1)
    except FileNotFoundError:
        raise TonearmError(f"no {kind} at {path}; {remedy}") from None
    except OSError as error:
        raise TonearmError(f"cannot read {path}: {error.strerror or error}; {remedy}") from None
    if len(content) > MAX_TEXT_BYTES:
        raise TonearmError(
            f"{path} is larger than {MAX_TEXT_BYTES // MIB} MiB, the limit of a {kind}; {remedy}"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TonearmError(
            f"cannot read {path}: it is not UTF-8 text (byte {error.start}); {remedy}"
        ) from None


def read_json(path: str | os.PathLike[str], kind: str, remedy: str) -> Any:
    """Read a JSON file without repeated keys; see `read_text`.

    Args:
        path: of the file.
        kind: of the file, for the message: "steering file".
        remedy: end of the message: what to give instead.

    Raises:
        TonearmError: the text cannot be read, or is not JSON.
    """
    return parse_json(read_text(path, kind, remedy), str(path), remedy)


def parse_json(text: str, source: str, remedy: str) -> Any:
    """Parse JSON. NaN and infinities pass, so that a schema can name the field that holds one.

    Args:
        text: the JSON.
        source: of the text, for the message.
        remedy: end of the message: what to give instead.

    Raises:
        TonearmError: the text is not JSON, repeats a key of an object, or holds a number of
            thousands of digits.
    """
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError:
        reason = "it is nested too deeply"
    except ValueError as error:  # of the syntax, of an integer's length, or a repeated key
        reason = shortened(first_line(error), MAX_REASON)
    raise TonearmError(f"cannot read {source} as JSON ({reason}); {remedy}") from None


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a pipe also if nobody writes to it; reading still waits for those who do."""
    if not hasattr(os, "O_NONBLOCK"):  # Windows, where pipes are no files
        return os.open(path, flags)
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor


def _without_repeats(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"the key {quoted(repeated)} is there twice in one object")
    return found
