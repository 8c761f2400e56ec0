"""Parquet shards that hold encoded audio in a column, as the Hugging Face hub stores audio.

The column `audio` is a struct {bytes, path}: the content of an audio file, and its name.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError
from tonearm.text import first_line, quoted

AUDIO, BYTES, PATH = "audio", "bytes", "path"
SHARDS = tuple(f"{'*/' * depth}*.parquet" for depth in range(3))  # data/train-*, notes/train/0000
REMEDY = "download it again"
FAULTS = (OSError, ValueError, NotImplementedError)  # pyarrow's errors are of these classes


def find_shards(folder: Path) -> list[Path]:
    """Shards in a folder and its folders, in order."""
    return [shard for pattern in SHARDS for shard in sorted(folder.glob(pattern))]


def read_columns(shards: Sequence[Path], folder: Path) -> tuple[str, ...]:
    """Read the names of the columns that shards have in common; the audio is not opened.

    Args:
        shards: of one set.
        folder: of the shards, for messages.

    Raises:
        TonearmError: pyarrow is not installed, a shard cannot be read, or they differ.
    """
    names = {shard: tuple(_opened(shard).schema_arrow.names) for shard in shards}
    if len(set(names.values())) > 1:
        parents = ", ".join(sorted({str(shard.parent) for shard in shards}))
        raise TonearmError(
            f"the Parquet files in {folder} have different columns; give the folder of one set "
            f"({parents})"
        )
    return next(iter(names.values()))


def _check_audio(shard: Path) -> None:
    """Raise TonearmError for audio that is not stored as encoded files."""
    schema = _opened(shard).schema_arrow
    kind = schema.field(AUDIO).type
    fields = {kind.field(number).name for number in range(kind.num_fields)}
    if not {BYTES, PATH} <= fields:
        raise TonearmError(
            f"{shard} has audio of type {quoted(str(kind))}; give shards whose audio is a struct of "
            f"{BYTES} and {PATH}, as the Hugging Face hub stores it"
        )


def read_rows(shards: Sequence[Path], columns: Sequence[str]) -> Iterator[tuple[Path, int, dict]]:
    """Read values without the bytes of the audio.

    Args:
        shards: of one set.
        columns: of them, without the audio.

    Yields:
        The shard, the row in it, and the values that are not null as text, with the name of the
        audio as `audio`.

    Raises:
        TonearmError: a shard cannot be read, or its audio is not stored as encoded files.
    """
    for shard in shards:
        _check_audio(shard)
        number = 0
        for batch in _guarded(shard, [*columns, f"{AUDIO}.{PATH}"]):
            for row in batch.to_pylist():
                audio = row.pop(AUDIO) or {}
                values = {**row, AUDIO: audio.get(PATH)}
                yield (
                    shard,
                    number,
                    {name: str(value) for name, value in values.items() if value is not None},
                )
                number += 1


def read_audio(shard: Path, row: int) -> bytes:
    """Read the content of the audio file in a row.

    Rows are fastest in order: the row group of the last one is kept in memory.

    Raises:
        TonearmError: the shard cannot be read, or the row holds no audio.
    """
    ends = _ends_of_groups(shard)
    group = bisect_right(ends, row)
    if row < 0 or group == len(ends):
        raise TonearmError(f"{shard} has no row {row}; {REMEDY}")
    first = ends[group - 1] if group else 0
    content = (_audio_of_group(shard, group)[row - first].as_py() or {}).get(BYTES)
    if not content:
        raise TonearmError(f"row {row} of {shard} holds no audio; {REMEDY}")
    return content


@lru_cache(maxsize=64)
def _ends_of_groups(shard: Path) -> list[int]:
    metadata = _opened(shard).metadata
    return list(accumulate(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)))


@lru_cache(maxsize=1)
def _audio_of_group(shard: Path, group: int) -> Any:
    """Column of the audio in one row group, without the names."""
    try:
        table = _opened(shard).read_row_group(group, columns=[f"{AUDIO}.{BYTES}"])
    except FAULTS as error:
        raise _unreadable(shard, error) from error
    return table.column(AUDIO)


def _guarded(shard: Path, columns: Sequence[str]) -> Iterator[Any]:
    try:
        yield from _opened(shard).iter_batches(columns=columns)
    except FAULTS as error:
        raise _unreadable(shard, error) from error


def _opened(shard: Path) -> Any:
    try:
        parquet = import_module("pyarrow.parquet")
    except ImportError as error:
        raise TonearmError(
            f'reading {shard} needs the package pyarrow: pip install "tonearm[parquet]"'
        ) from error
    try:
        return parquet.ParquetFile(shard)
    except FAULTS as error:
        raise _unreadable(shard, error) from error


def _unreadable(shard: Path, error: Exception) -> TonearmError:
    return TonearmError(f"cannot read {shard} as Parquet ({first_line(error)}); {REMEDY}")
