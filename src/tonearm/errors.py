"""A user's mistake, told in one line."""


class TonearmError(Exception):
    """Something the user can mend. The message says what was given, what is allowed, and what to do next.

    The command line prints the message alone and exits with code 2; no traceback.
    """
