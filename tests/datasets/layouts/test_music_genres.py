"""music_genres: Parquet shards with encoded audio, genres and song ids."""

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.layouts.parquet_files import encoded, write_shard
from tests.measures.sounds import tone
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.reading import skip_log, sounding_clips
from tonearm.datasets.skips import NO_LABEL, UNREADABLE
from tonearm.errors import TonearmError


def item(song: int, genre: str | None, audio: bytes | None) -> dict:
    return {
        "audio": {"bytes": audio, "path": f"{song}.ogg"},
        "song_id": song,
        "genre_id": 5,
        "genre": genre,
    }


@pytest.fixture
def music_genres(tmp_path: Path) -> Path:
    """data/ with two shards of five and two rows, in row groups of two."""
    rows = [item(i, ("Folk", "Rock")[i % 2], encoded(tone(200 + 50 * i, 0.3))) for i in range(5)]
    write_shard(tmp_path / "data" / "train-00000-of-00002.parquet", rows)
    more = [item(4, "Folk", encoded(suffix=".ogg")), item(7, "Pop", encoded(suffix=".flac"))]
    write_shard(tmp_path / "data" / "train-00001-of-00002.parquet", more)
    (tmp_path / "README.md").write_text("")
    return tmp_path


def test_rows_of_all_shards_are_items_with_genre_and_song(music_genres: Path) -> None:
    corpus = read_corpus([music_genres])
    assert corpus.layout.name == "music_genres"
    assert [file.label for file in corpus] == [
        "Folk",
        "Rock",
        "Folk",
        "Rock",
        "Folk",
        "Folk",
        "Pop",
    ]
    assert [file.track for file in corpus] == ["0", "1", "2", "3", "4", "4", "7"]
    assert len({file.name for file in corpus}) == 7
    assert corpus[6].columns["audio"] == "7.ogg"


def test_audio_is_that_of_its_row_in_any_order(music_genres: Path) -> None:
    corpus = read_corpus([music_genres])
    for index in (4, 0, 3, 3, 1, 2):
        expected = tone(200 + 50 * index, 0.3)
        np.testing.assert_array_equal(corpus[index].read().samples, expected.samples)
    assert corpus[6].read().seconds == pytest.approx(0.2)


def test_unreadable_audio_and_rows_without_genre_are_counted(tmp_path: Path) -> None:
    rows = [
        item(0, "Folk", encoded()),
        item(1, "Rock", b"no audio"),
        item(2, "Rock", None),
        item(3, None, encoded()),
        item(4, "Rock", encoded()),
    ]
    write_shard(tmp_path / "train.parquet", rows)
    corpus = read_corpus([tmp_path])
    log = skip_log(corpus)
    assert [file.track for file, _ in sounding_clips(corpus, log)] == ["0", "4"]
    assert [(one.reason, len(one.names)) for one in log.skipped] == [(UNREADABLE, 2)]
    assert [(one.reason, len(one.names)) for one in corpus.skipped] == [(NO_LABEL, 1)]
    assert not log.skipped[0].known


def test_unusable_parquet_is_one_line(music_genres: Path, tmp_path: Path) -> None:
    shard = next(music_genres.rglob("*.parquet"))
    with pytest.raises(TonearmError, match="has not the layout syntheory"):
        read_corpus([music_genres], layout="syntheory")
    write_shard(music_genres / "data" / "other.parquet", [{"audio": None, "text": "x"}])
    with pytest.raises(TonearmError, match="different columns"):
        read_corpus([music_genres])
    (music_genres / "data" / "other.parquet").unlink()
    shard.write_bytes(shard.read_bytes()[:-40])
    with pytest.raises(TonearmError, match=r"cannot read .* as Parquet .*; download it again"):
        read_corpus([music_genres])


def test_parquet_of_other_columns_is_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "train.parquet", [{"audio": None, "text": "x"}])
    with pytest.raises(TonearmError, match="columns audio, text, which are those of no layout"):
        read_corpus([tmp_path])


@pytest.mark.parametrize("kind", ["bytes", "path", "binary", "decoded"])
def test_audio_that_is_no_encoded_file_is_refused(music_genres: Path, kind: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    first = min(music_genres.rglob("*.parquet"))
    types = {
        "bytes": pyarrow.struct([("bytes", pyarrow.binary())]),
        "path": pyarrow.struct([("path", pyarrow.string())]),
        "binary": pyarrow.binary(),
        "decoded": pyarrow.struct([("array", pyarrow.list_(pyarrow.float32()))]),
    }
    for one in music_genres.rglob("*.parquet"):
        table = parquet.read_table(one)
        place = table.schema.get_field_index("audio")
        column = pyarrow.nulls(table.num_rows, types[kind])
        parquet.write_table(table.set_column(place, "audio", column), one)
    with pytest.raises(
        TonearmError, match=r"has audio of type .*struct of bytes and path"
    ) as error:
        read_corpus([music_genres])
    assert first.name in str(error.value) and "\n" not in str(error.value)


def test_a_folder_per_label_may_hold_parquet_too(tmp_path: Path) -> None:
    write_shard(tmp_path / "features.parquet", [{"audio": None, "text": "x"}])
    for label in ("a", "b"):
        tone(330, 0.2).write(tmp_path / label / "x.wav")
    assert read_corpus([tmp_path]).layout.name == "folders"


def test_a_missing_pyarrow_is_one_line(music_genres: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(TonearmError, match=r'pip install "tonearm\[parquet\]"'):
        read_corpus([music_genres])
