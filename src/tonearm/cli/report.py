"""tonearm report: the report of a run, drawn again from its store."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import out, print_json
from tonearm.errors import TonearmError


def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Of a run of tonearm study.")],
    markdown: Annotated[
        Path | None,
        typer.Option(
            "--markdown",
            metavar="PATH.md",
            help="Also write it as Markdown, with its figures in a folder of the same name.",
        ),
    ] = None,
    as_json: _options.Json = False,
) -> None:
    """Draw the report of a complete run again; nothing is generated."""
    from tonearm.studies.facchiano2025.study import report as write

    if markdown is not None and markdown.suffix != ".md":
        raise TonearmError(f"--markdown {markdown} does not end in .md; give such a path")
    page = write(folder, markdown)
    if as_json:
        print_json({"report": str(page)})
    else:
        out.print(f"open {page}", soft_wrap=True)
