"""Keys of a terminal, without echo and without waiting for a line.

A key is a character, or a name: up, down, left, right, shift-left, shift-right, page-up, page-down,
home, end, delete, enter, tab, backspace, escape.
"""

import codecs
import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tonearm.errors import TonearmError

SEQUENCES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1b[C": "right",
    "\x1b[D": "left",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1bOC": "right",
    "\x1bOD": "left",
    "\x1b[1;2C": "shift-right",
    "\x1b[1;2D": "shift-left",
    "\x1b[5~": "page-up",
    "\x1b[6~": "page-down",
    "\x1b[H": "home",
    "\x1b[F": "end",
    "\x1bOH": "home",
    "\x1bOF": "end",
    "\x1b[1~": "home",
    "\x1b[4~": "end",
    "\x1b[3~": "delete",
}
NAMES = {"\r": "enter", "\n": "enter", "\t": "tab", "\x7f": "backspace", "\x08": "backspace"}
CONTROL_SEQUENCE = ("\x1b[", "\x1bO")


def decode(text: str) -> list[str]:
    """Keys of the characters that a terminal sent at once; unknown sequences are left out."""
    keys, at = [], 0
    while at < len(text):
        character = text[at]
        if character == "\x1b":
            sequence = _sequence_at(text, at)
            if len(sequence) == 1:
                keys.append("escape")
            elif sequence in SEQUENCES:
                keys.append(SEQUENCES[sequence])
            at += len(sequence)
            continue
        at += 1
        if character in NAMES:
            keys.append(NAMES[character])
        elif character.isprintable():
            keys.append(character)
    return keys


def _sequence_at(text: str, at: int) -> str:
    """The escape sequence that begins at a place; escape alone where none does."""
    if not text.startswith(CONTROL_SEQUENCE, at):
        return text[at]
    end = at + 2
    while end < len(text) and not "@" <= text[end] <= "~":
        end += 1
    return text[at : end + 1]


class Keys:
    """Reads keys.

    Args:
        descriptor: of the terminal.
    """

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")

    def read(self, seconds: float) -> list[str]:
        """Wait at most `seconds` for input, and return the keys that it contains.

        Raises:
            TonearmError: the terminal is gone.
        """
        if not select.select([self._descriptor], [], [], seconds)[0]:
            return []
        try:
            content = os.read(self._descriptor, 4096)
        except OSError as error:
            raise TonearmError("the terminal is gone") from error
        if not content:
            raise TonearmError("the terminal is gone")
        return decode(self._decoder.decode(content))


@contextmanager
def reading_keys(descriptor: int) -> Iterator[Keys]:
    """Read keys from a terminal, whose settings are restored at the end, whatever happens.

    Raises:
        TonearmError: the system has no POSIX terminals.
    """
    termios, tty = _posix()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def _posix() -> tuple[Any, Any]:
    try:
        import termios
        import tty
    except ImportError as error:
        raise TonearmError(
            "tonearm live needs a terminal of Linux or macOS; use tonearm studio"
        ) from error
    return termios, tty
