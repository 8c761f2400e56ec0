"""Text of users: checks at the boundary, quoting in messages, escapes for terminals."""

import logging
import unicodedata
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError
from tonearm.escapes import MAX_QUOTED, shortened

MAX_PATH_BYTES, MAX_NAME_BYTES = 4095, 255  # limits of Linux and macOS file systems
RESERVED_IN_NAMES = "=,@#/\\"  # they have a meaning in --steer and in paths

_log = logging.getLogger(__name__)


def quoted(value: Any) -> str:
    """Quote a value for a message: its `repr` in one line, shortened."""
    if isinstance(value, str):
        value = shortened(value)
    elif isinstance(value, bytes | bytearray):
        value = value[: 2 * MAX_QUOTED]
    try:
        shown = repr(value)
    except Exception:  # Python does not print integers of thousands of digits
        shown = f"<{type(value).__name__}>"
    if not isinstance(value, str | bytes | bytearray):
        shown = " ".join(shown.split())  # arrays are shown in several lines
    return shortened(shown, 2 * MAX_QUOTED)


def first_line(error: BaseException) -> str:
    """First line of an error's message, or the name of its class where it has none."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def is_blank(text: str) -> bool:
    """Whether a text has no visible character: spaces, control and formatting characters only."""
    return all(
        character.isspace() or unicodedata.category(character).startswith("C") for character in text
    )


def name_fault(name: str) -> str:
    """Fault of a vector's name that has another meaning in --steer, in paths or on a terminal; empty
    where there is none.
    """
    reserved = [symbol for symbol in RESERVED_IN_NAMES if symbol in name]
    if reserved:
        return f"holds {reserved[0]!r}"
    if is_blank(name) or not name.isprintable():
        return "is blank or holds control characters"
    return "" if name == name.strip() else "begins or ends with a space"


def check_text(text: str, what: str) -> None:
    """Raise TonearmError for null characters and for bytes that are not UTF-8 (surrogates).

    Args:
        text: a prompt or a name.
        what: its role, for the message.
    """
    if "\0" in text:
        raise TonearmError(f"{what} {quoted(text)} holds a null character; leave it out")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise TonearmError(
            f"{what} {quoted(text)} holds bytes that are not UTF-8 text; write it in UTF-8"
        ) from None


def check_path(path: str | Path, what: str) -> None:
    """Raise TonearmError for a path that no file system can hold.

    Args:
        path: of a file or folder.
        what: its role, for the message.
    """
    check_text(str(path), what)
    longest = max((len(part.encode()) for part in Path(path).parts), default=0)
    if longest > MAX_NAME_BYTES or len(str(path).encode()) > MAX_PATH_BYTES:
        raise TonearmError(
            f"{what} {quoted(str(path))} is too long; use at most {MAX_NAME_BYTES} bytes for a "
            f"name and {MAX_PATH_BYTES} for a path"
        )


def warn_of_namesake(name: str, kind: str, path: Path) -> None:
    """Warn that an item of a known name is used and that `path`, which has the same name, is not.

    Args:
        name: as the user gave it.
        kind: of the item: "bundled vector", "bundled checkpoint".
        path: file or folder that the name could mean, too.
    """
    explicit = path if len(path.parts) > 1 or path.suffix else f"./{path}"
    _log.warning(
        "%s is the %s; for %s, which has the same name, write %s",
        quoted(name),
        kind,
        quoted(str(path)),
        explicit,
    )
