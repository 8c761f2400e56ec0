"""Options of the commands that read a labelled corpus, and the report of items left out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli._measuring import FAILED_FILES
from tonearm.cli._screen import say_error
from tonearm.errors import TonearmError
from tonearm.text import quoted

if TYPE_CHECKING:
    from tonearm.datasets.skips import Skipped

Label = Annotated[
    str | None,
    typer.Option(
        "--label", metavar="COLUMN", help="Column of the labels; default: that of the layout."
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        "--where", metavar="COLUMN=VALUE", help="Only items with this value. Repeat it for more."
    ),
]
Layout = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="NAME",
        help="metadata, gtzan, fma, folders, music_genres or syntheory; default: by the files.",
    ),
]


def parse_where(given: Sequence[str] | None) -> dict[str, str]:
    """Parse COLUMN=VALUE options.

    Raises:
        TonearmError: an option without a name or "=", or a column twice.
    """
    found: dict[str, str] = {}
    for option in given or ():
        column, equals, value = option.partition("=")
        if not (column and equals):
            raise TonearmError(f"--where {quoted(option)} is no COLUMN=VALUE; give octave=4")
        if column in found:
            raise TonearmError(f"--where names {quoted(column)} twice; give one value of a column")
        found[column] = value
    return found


def print_skipped(skipped: Sequence["Skipped"]) -> None:
    """Print one line per reason to stderr: how many items were left out, and about the first."""
    for one in skipped:
        say_error(f"left out {one}")


def exit_if_unexpected(skipped: Sequence["Skipped"]) -> None:
    """Exit with FAILED_FILES where items were left out that are no documented defects."""
    if not all(one.known for one in skipped):
        raise typer.Exit(FAILED_FILES)
