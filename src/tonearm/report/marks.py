"""Generated parts of a hand-written Markdown page, between marks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write


def write_between_marks(page: Path, parts: Mapping[str, Sequence[str]]) -> None:
    """Replace the lines between `<!-- NAME: begin -->` and `<!-- NAME: end -->` of a page.

    Args:
        page: Markdown file.
        parts: lines by NAME.

    Raises:
        TonearmError: the page lacks a mark; it is then left as it is.
    """
    text = page.read_text(encoding="utf-8")
    for name, lines in parts.items():
        begin, end = (f"<!-- {name}: {edge} -->" for edge in ("begin", "end"))
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found_begin and found_end):
            raise TonearmError(f"{page} has no marks {begin} and {end}; add them")
        text = "\n".join([f"{before}{begin}", *lines, f"{end}{after}"])
    with atomic_write(page) as partial:
        partial.write_text(text, encoding="utf-8")
