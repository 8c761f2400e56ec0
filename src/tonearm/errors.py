"""Errors that a user can correct."""


class TonearmError(Exception):
    """A user's mistake; the message is one line with the value, the allowed values and the next
    step.

    The command line prints the message alone and exits with code 2, without a traceback.
    """
