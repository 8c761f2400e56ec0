"""The seam of corpus layouts: entries with columns, before a label is chosen."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

LABEL = "label"  # the column of a layout whose labels are folder names


@dataclass(frozen=True)
class Entry:
    """An item of a corpus.

    Attributes:
        path: of the audio file, or of the Parquet shard that holds the audio; None where the corpus
            lists an item without audio.
        track: items of one track are excerpts of one piece.
        columns: values by name; one of them becomes the label.
        row: of the Parquet shard; None for an audio file.
        name: of the item where it has no path.
        piece: that several tracks are made from; empty where each is a piece of its own.
    """

    path: Path | None
    track: str
    columns: Mapping[str, str]
    row: int | None = None
    name: str = ""
    piece: str = ""


@dataclass(frozen=True)
class Table:
    """An opened corpus.

    Attributes:
        columns: names of all columns.
        label: name of the default label; None where one must be chosen.
        entries: yields the entries. Its argument names the columns that are needed; a layout may
            leave out others.
    """

    columns: tuple[str, ...]
    label: str | None
    entries: Callable[[Collection[str]], Iterator[Entry]]


@dataclass(frozen=True)
class Layout:
    """A layout of corpora.

    Attributes:
        name: as `--layout` takes it.
        expected: files that it consists of, for messages.
        matches: whether a folder has the layout; opens as little as possible.
        open: reads names of columns; audio is not opened.
        known_defects: reasons of `tonearm.datasets.skips` that are documented for the corpus.
        min_seconds: shorter clips are left out.
    """

    name: str
    expected: str
    matches: Callable[[Path], bool]
    open: Callable[[Path], Table]
    known_defects: frozenset[str] = frozenset()
    min_seconds: float = 0.0
