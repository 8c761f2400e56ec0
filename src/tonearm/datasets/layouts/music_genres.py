"""music_genres: 25,000 excerpts with genres, as Parquet with audio.

    data/train-00000-of-00030.parquet    columns audio, song_id, genre_id, genre

Items of one song_id are a track.

Source: https://huggingface.co/datasets/lewtun/music_genres (and music_genres_small).
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from tonearm.datasets import parquet
from tonearm.datasets.layouts.base import Entry, Layout, Table

SONG, GENRE = "song_id", "genre"
COLUMNS = {parquet.AUDIO, SONG, "genre_id", GENRE}


def _matches(folder: Path) -> bool:
    shards = parquet.find_shards(folder)
    return bool(shards) and set(parquet.read_columns(shards, folder)) >= COLUMNS


def _open(folder: Path) -> Table:
    shards = parquet.find_shards(folder)
    names = parquet.read_columns(shards, folder)
    columns = tuple(name for name in names if name != parquet.AUDIO)

    def entries(needed: Collection[str]) -> Iterator[Entry]:
        for shard, row, values in parquet.read_rows(shards, columns):
            yield Entry(shard, values.get(SONG, f"{shard.name}:{row}"), values, row)

    return Table(columns, GENRE, entries)


MUSIC_GENRES = Layout(
    name="music_genres",
    expected="Parquet files with the columns audio, song_id, genre_id and genre",
    matches=_matches,
    open=_open,
)
