"""Keys: escape sequences, and the settings of the terminal, which are restored."""

import os
import pty
import termios

import pytest

from tonearm.errors import TonearmError
from tonearm.terminal.keys import Keys, decode, reading_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ax ", ["a", "x", " "]),
        ("\x1b[A\x1b[1;2C\x1bOD", ["up", "shift-right", "left"]),
        ("\x1b", ["escape"]),
        ("\x1bq", ["escape", "q"]),
        ("\x1b[200~z", ["z"]),  # an unknown sequence
        ("\r\x7f\t", ["enter", "backspace", "tab"]),
        ("é\x01", ["é"]),
        ("\x1b[", []),  # cut off
    ],
)
def test_decode(text, keys):
    assert decode(text) == keys


def test_keys_are_read_and_the_terminal_is_restored_after_an_error():
    controller, terminal = pty.openpty()
    try:
        before = termios.tcgetattr(terminal)
        with pytest.raises(ZeroDivisionError), reading_keys(terminal) as keys:
            assert termios.tcgetattr(terminal) != before
            assert keys.read(0) == []
            os.write(controller, "é".encode()[:1])
            assert keys.read(5) == []  # half a character
            os.write(controller, "é".encode()[1:] + b"\x1b[B")
            assert keys.read(5) == ["é", "down"]
            raise ZeroDivisionError
        assert termios.tcgetattr(terminal) == before
    finally:
        os.close(controller)
        os.close(terminal)


def test_a_terminal_that_is_gone_is_an_error():
    reader, writer = os.pipe()
    keys = Keys(reader)
    os.close(writer)
    with pytest.raises(TonearmError, match="the terminal is gone"):
        keys.read(5)
    os.close(reader)
