"""tonearm report: the report of a run, drawn again from its store."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import out, print_json
from tonearm.errors import TonearmError
from tonearm.studies.published import STUDIES, PublishedStudy
from tonearm.text import quoted


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
    if markdown is not None and markdown.suffix != ".md":
        raise TonearmError(f"--markdown {markdown} does not end in .md; give such a path")
    page = _study_in(folder).report(folder, markdown)
    if as_json:
        print_json({"report": str(page)})
    else:
        out.print(f"open {page}", soft_wrap=True)


def _study_in(folder: Path) -> PublishedStudy:
    """Find the published study that a run holds.

    Raises:
        TonearmError: no store, none of the published studies, or several.
    """
    from tonearm.studies.store import Store

    with Store.existing(folder) as store:
        names = store.studies()
    found = [STUDIES[name] for name in names if name in STUDIES]
    if not found:
        held = ", ".join(map(quoted, names)) or "no study yet"
        raise TonearmError(
            f"{folder} holds {held}; a report is drawn of a run of {', '.join(STUDIES)}"
        )
    if len(found) > 1:
        raise TonearmError(
            f"{folder} holds {' and '.join(one.name for one in found)}, whose reports would replace "
            "each other; run each again with an --out of its own"
        )
    return found[0]
