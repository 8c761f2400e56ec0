"""FMA: the Free Music Archive.

    fma_metadata/tracks.csv      three rows of header: group, column, and the name track_id
    fma_small/000/000002.mp3     the six digits are the track; the folder holds their first three

The folder given is the one that holds both, or an audio folder with tracks.csv in it or beside it.
`fma_small` and `fma_medium` hold the tracks of these values of set.subset, of which each subset is
a part of the next; `fma_large` and `fma_full` hold all tracks.

Columns are named group.column, such as track.genre_top (the default label; half of all tracks have
none), set.split or artist.id. Some tracks have no audio, less than a second of it, or damaged files
(https://github.com/mdeff/fma/issues/8, /44 and /49).

Source: Defferrard et al. 2017; `load` in https://github.com/mdeff/fma/blob/master/utils.py.
"""

import csv
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from tonearm.datasets.layouts.base import Entry, Layout, Table
from tonearm.datasets.skips import NO_FILE, NO_LABEL, SHORT, UNREADABLE
from tonearm.errors import TonearmError
from tonearm.text import first_line

TABLE = "tracks.csv"
TABLES = (TABLE, f"fma_metadata/{TABLE}")
GENRE, SUBSET, SPLIT, ARTIST = "track.genre_top", "set.subset", "set.split", "artist.id"
ALL = ("small", "medium", "large")
SUBSETS = {"fma_small": ALL[:1], "fma_medium": ALL[:2], "fma_large": ALL, "fma_full": ALL}
HEADER_ROWS = 3
MAX_FIELD = 2**24  # characters; biographies of artists exceed the default of the csv module


def _table_path(folder: Path) -> Path | None:
    places = [parent / name for parent in (folder, folder.parent) for name in TABLES]
    return next((place for place in places if place.is_file()), None)


def _audio_folders(folder: Path) -> list[Path]:
    """Folders that hold 000/ to 155/: the folder itself, or fma_* in it."""
    if next(folder.glob("[0-9][0-9][0-9]/*.mp3"), None):
        return [folder]
    return [folder / name for name in SUBSETS if (folder / name).is_dir()]


def _matches(folder: Path) -> bool:
    table = _table_path(folder)
    return table is not None and bool(_audio_folders(folder))


def _open(folder: Path) -> Table:
    table = _table_path(folder)
    assert table is not None  # `_matches`
    audio = _audio_folders(folder)
    if len(audio) > 1:
        raise TonearmError(
            f"{folder} has {', '.join(place.name for place in audio)}; give one of these folders"
        )
    with _rows(table) as rows:
        columns = _header(rows, table)

    def entries(needed: Collection[str]) -> Iterator[Entry]:
        kept = [name for name in columns if name in {*needed, SUBSET, SPLIT, ARTIST}]
        return _entries(table, columns, kept, audio[0])

    return Table(columns, GENRE, entries)


def _entries(
    table: Path, columns: tuple[str, ...], kept: list[str], audio: Path
) -> Iterator[Entry]:
    """Entries of the subset that an audio folder holds.

    Args:
        table: tracks.csv.
        columns: of the table, without the track.
        kept: of these, in the entries.
        audio: folder of the audio. Where its name is none of `SUBSETS`, the tracks that it should
            hold are unknown, and those without a file are no entries.
    """
    files = {file.stem: file for file in audio.glob("[0-9][0-9][0-9]/*.mp3")}
    subsets = SUBSETS.get(audio.resolve().name)
    places = {name: columns.index(name) + 1 for name in kept}
    with _rows(table) as rows:
        _header(rows, table)
        for row in rows:
            if len(row) <= len(columns) or not row[0].isdigit():
                raise TonearmError(
                    f"{table} has a row without a track_id or with too few columns; "
                    "unpack fma_metadata.zip again"
                )
            track = f"{int(row[0]):06d}"
            file = files.get(track)
            if file is None and (subsets is None or row[places[SUBSET]] not in subsets):
                continue
            yield Entry(
                file,
                track,
                {name: row[place] for name, place in places.items() if row[place]},
                name=str(audio / track[:3] / f"{track}.mp3"),
            )


@contextmanager
def _rows(table: Path) -> Iterator[Iterator[list[str]]]:
    """Yield the rows of a table of any size.

    Raises:
        TonearmError: it cannot be read.
    """
    limit = csv.field_size_limit(MAX_FIELD)
    try:
        with table.open(encoding="utf-8", newline="") as file:
            yield csv.reader(file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TonearmError(
            f"cannot read {table} ({first_line(error)}); unpack fma_metadata.zip again"
        ) from error
    finally:
        csv.field_size_limit(limit)


def _header(rows: Iterator[list[str]], table: Path) -> tuple[str, ...]:
    """Read the rows of the header, and return the names of the columns after the track."""
    header = list(islice(rows, HEADER_ROWS))
    names: tuple[str, ...] = ()
    if len(header) == HEADER_ROWS and header[2][:1] == ["track_id"]:
        pairs = zip(header[0][1:], header[1][1:], strict=False)
        names = tuple(f"{group}.{column}" for group, column in pairs)
    if not {GENRE, SUBSET} <= set(names):
        raise TonearmError(
            f"{table} has not the header of FMA's tracks.csv (groups, columns, track_id) "
            f"with {GENRE} and {SUBSET}; unpack fma_metadata.zip again"
        )
    return names


FMA = Layout(
    name="fma",
    expected="fma_metadata/tracks.csv and fma_small/000/000002.mp3",
    matches=_matches,
    open=_open,
    known_defects=frozenset({NO_FILE, NO_LABEL, SHORT, UNREADABLE}),
    min_seconds=1.0,
)
