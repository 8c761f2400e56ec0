"""Command line: one file per command; each calls the public functions of the library."""

import sys

TYPE_CHECKING = False  # as little as possible is imported before Ctrl-C is handled in `main`
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

INTERRUPTED = 130  # exit code for Ctrl-C
STOPPED = "tonearm: stopped"


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run the command line.

    Ctrl-C during the import of the commands ends like Ctrl-C in a command.

    Args:
        arguments: default: those of the process.

    Returns:
        The exit code: 2 for a user's mistake, which is one line on stderr; 130 for Ctrl-C.
    """
    try:
        from tonearm.cli._interrupt import interrupts_handled

        with interrupts_handled():
            from tonearm.cli._app import run

            return run(arguments)
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return INTERRUPTED


def __getattr__(name: str) -> "Any":
    """Import `app`, the typer application, at its first use."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tonearm.cli._app import app

    return app
