"""GTZAN: 1,000 excerpts of 30 s in ten genres.

    genres_original/<genre>/<genre>.00000.wav    Kaggle's copy, also within Data/
    genres/<genre>/<genre>.00000.au              the original

jazz.00054.wav of Kaggle's copy is not readable. Several excerpts occur twice or are of one
recording (Sturm 2013), which the file names do not show: every file is a track of its own.

Source: Tzanetakis & Cook 2002; Sturm 2013, "The GTZAN dataset: its contents, its faults, their
effects on evaluation, and its future use".
"""

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from tonearm.datasets.layouts.base import LABEL, Entry, Layout, Table
from tonearm.datasets.skips import UNREADABLE

PLACES = ("", "genres_original", "genres", "Data/genres_original")
EXCERPT = re.compile(r"(?P<genre>[a-z]+)\.\d{5}\.(wav|au)")


def _genre_folders(folder: Path) -> list[Path]:
    """Folders <genre>/ that hold <genre>.00000.wav or .au."""
    for place in PLACES:
        found = [child for child in _children(folder / place) if any(_excerpts(child))]
        if found:
            return found
    return []


def _children(folder: Path) -> list[Path]:
    return sorted(child for child in folder.glob("*") if child.is_dir())


def _excerpts(folder: Path) -> Iterator[Path]:
    for file in folder.iterdir():
        match = EXCERPT.fullmatch(file.name)
        if match and match["genre"] == folder.name:
            yield file


def _open(folder: Path) -> Table:
    def entries(needed: Collection[str]) -> Iterator[Entry]:
        for genre in _genre_folders(folder):
            for file in sorted(_excerpts(genre)):
                yield Entry(file, file.stem, {LABEL: genre.name})

    return Table((LABEL,), LABEL, entries)


GTZAN = Layout(
    name="gtzan",
    expected="genres_original/<genre>/<genre>.00000.wav or genres/<genre>/<genre>.00000.au",
    matches=lambda folder: bool(_genre_folders(folder)),
    open=_open,
    known_defects=frozenset({UNREADABLE}),
)
