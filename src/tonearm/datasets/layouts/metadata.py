"""A table beside the audio files.

    metadata.csv      column file_name, any columns of labels, track where several files are
                      excerpts of one piece, and piece where several tracks with labels of their own
                      are made from one piece, such as with and without its drums
    metadata.jsonl    the same, one JSON object per line

The label is the column `label` unless another one is chosen. A corpus that `tonearm corpus render`
has not finished has rendering.json and no table.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from tonearm.datasets.layouts.base import LABEL, Entry, Layout, Table
from tonearm.datasets.tables import read_table
from tonearm.errors import TonearmError

METADATA = ("metadata.csv", "metadata.jsonl")
FILE_NAME, TRACK, PIECE = "file_name", "track", "piece"
RENDERING = "rendering.json"


def _matches(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (*METADATA, RENDERING))


def _open(folder: Path) -> Table:
    file = next((folder / name for name in METADATA if (folder / name).is_file()), None)
    if file is None:
        raise TonearmError(
            f"the rendering of {folder} is not complete; run the same tonearm corpus render again"
        )
    rows = [row for _, row in read_table(file, (FILE_NAME,))]
    reserved = (FILE_NAME, TRACK, PIECE)
    columns = tuple(dict.fromkeys(name for row in rows for name in row if name not in reserved))

    def entries(needed: Collection[str]) -> Iterator[Entry]:
        for number, row in enumerate(rows, 1):
            absent = [name for name in needed if name not in row]
            if absent:
                raise TonearmError(
                    f"row {number} of {file} lacks {' and '.join(absent)}; "
                    "give a value in every row, or choose another column"
                )
            values = {name: row[name] for name in columns if name in row}
            yield Entry(
                folder / row[FILE_NAME],
                row.get(TRACK, row[FILE_NAME]),
                values,
                piece=row.get(PIECE, ""),
            )

    return Table(columns, LABEL if LABEL in columns else None, entries)


METADATA_TABLE = Layout(
    name="metadata",
    expected="metadata.csv or metadata.jsonl, with the column file_name",
    matches=_matches,
    open=_open,
)
