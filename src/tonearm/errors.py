"""Errors that a user can correct."""

from tonearm.escapes import escaped, shortened

MAX_MESSAGE = 1200  # characters


class TonearmError(Exception):
    """A user's mistake; the message is one line with the value, the allowed values and the next
    step.

    Control characters of names and values are written as escapes, and long messages are shortened.

    The command line prints the message alone and exits with code 2, without a traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shortened(escaped(message, keep=""), MAX_MESSAGE))
