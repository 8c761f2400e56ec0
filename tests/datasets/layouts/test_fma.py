"""FMA: tracks.csv with its three rows of header, tracks without audio, and very short ones."""

import csv
from pathlib import Path

import pytest
import soundfile

from tests.measures.sounds import tone
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.reading import skip_log, sounding_clips
from tonearm.datasets.skips import NO_FILE, NO_LABEL, SHORT, UNREADABLE
from tonearm.errors import TonearmError

BIOGRAPHY = "A band,\nwith a <p>long</p> biography. " * 6000  # longer than csv's default limit
HEADER = [
    ["", "artist", "artist", "set", "set", "track", "track"],
    ["", "bio", "id", "split", "subset", "genre_top", "title"],
    ["track_id", "", "", "", "", "", ""],
]
TRACKS = [
    ["2", BIOGRAPHY, "1", "training", "small", "Hip-Hop", "Food"],
    ["5", "", "1", "training", "small", "Hip-Hop", "This World"],
    ["10", "", "6", "test", "small", "Pop", "Freeway"],
    ["140", "", "54", "training", "medium", "Folk", "Queen Of The Wires"],
    ["20", "", "4", "training", "large", "", "Spiritual Level"],
    ["133297", "", "9", "training", "small", "Pop", "Fly"],
    ["108925", "", "9", "training", "small", "Pop", "Sol"],
    ["99134", "", "9", "training", "small", "Rock", "Absent"],
]


def write_mp3(path: Path, seconds: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = tone(330, max(seconds, 0.1)).resampled(22_050).mono
    soundfile.write(path, samples, 22_050, format="MP3")


@pytest.fixture
def fma(tmp_path: Path) -> Path:
    """fma_metadata/ and fma_small/: 99134 is absent, 133297 has no frames, 108925 is short."""
    (tmp_path / "fma_metadata").mkdir()
    with (tmp_path / "fma_metadata" / "tracks.csv").open("w", newline="") as file:
        csv.writer(file).writerows([*HEADER, *TRACKS])
    (tmp_path / "fma_metadata" / "genres.csv").write_text("genre_id,#tracks\n")
    for track in ("000002", "000005", "000010"):
        write_mp3(tmp_path / "fma_small" / track[:3] / f"{track}.mp3", 1.5)
    write_mp3(tmp_path / "fma_small" / "108" / "108925.mp3", 0.5)
    (tmp_path / "fma_small" / "133").mkdir()
    (tmp_path / "fma_small" / "133" / "133297.mp3").write_bytes(b"ID3\x04" + bytes(1748))
    (tmp_path / "fma_small" / "checksums").write_text("")
    return tmp_path


@pytest.mark.parametrize("place", ["", "fma_small"])
def test_tracks_of_the_subset_have_their_genre_and_id(fma: Path, place: str) -> None:
    corpus = read_corpus([fma / place])
    assert corpus.layout.name == "fma"
    assert [(file.track, file.label) for file in corpus] == [
        ("000002", "Hip-Hop"),
        ("000005", "Hip-Hop"),
        ("000010", "Pop"),
        ("133297", "Pop"),
        ("108925", "Pop"),
    ]
    assert corpus[2].columns["set.split"] == "test" and corpus[2].columns["artist.id"] == "6"
    (skipped,) = corpus.skipped
    assert (skipped.reason, skipped.known) == (NO_FILE, True)
    assert skipped.names == (str(fma / "fma_small" / "099" / "099134.mp3"),)


def test_tracks_without_audio_and_short_ones_are_left_out_with_counts(fma: Path) -> None:
    corpus = read_corpus([fma])
    log = skip_log(corpus)
    read = [file.track for file, _ in sounding_clips(corpus, log)]
    assert read == ["000002", "000005", "000010"]
    assert {one.reason: len(one.names) for one in log.skipped} == {UNREADABLE: 1, SHORT: 1}
    assert all(one.known for one in log.skipped)


def test_tracks_without_a_genre_are_left_out_of_the_large_subset(fma: Path) -> None:
    (fma / "fma_small").rename(fma / "fma_large")
    write_mp3(fma / "fma_large" / "000" / "000020.mp3", 1.5)
    skipped = {one.reason: len(one.names) for one in read_corpus([fma]).skipped}
    assert skipped == {NO_LABEL: 1, NO_FILE: 2}  # 20; 140 and 99134


def test_an_audio_folder_of_another_name_holds_some_tracks(fma: Path) -> None:
    (fma / "fma_small").rename(fma / "some")
    corpus = read_corpus([fma / "some"])
    assert len(corpus) == 5 and not corpus.skipped


def test_columns_select_and_label(fma: Path) -> None:
    training = read_corpus([fma], where={"set.split": "training"})
    assert "000010" not in {file.track for file in training}
    assert read_corpus([fma], label="artist.id").labels == ["1", "6", "9"]
    with pytest.raises(TonearmError, match=r"no column 'genre_top'; its columns are artist\.bio"):
        read_corpus([fma], label="genre_top")


def test_damaged_downloads_are_one_line(fma: Path) -> None:
    (fma / "fma_medium").mkdir()
    with pytest.raises(TonearmError, match="has fma_small, fma_medium; give one"):
        read_corpus([fma])
    (fma / "fma_medium").rmdir()
    table = fma / "fma_metadata" / "tracks.csv"
    content = table.read_bytes()
    for damaged, message in [
        (b"a,b\n1,2\n", "has not the header"),
        (content + b"\nnonsense,1\n", "row without a track_id"),
        (content + b"\xff\xfe\n", "cannot read"),
        (b"", "has not the header"),
    ]:
        table.write_bytes(damaged)
        with pytest.raises(TonearmError, match=message):
            read_corpus([fma])


def test_a_download_without_any_audio_is_refused(fma: Path) -> None:
    for file in fma.rglob("*.mp3"):
        file.unlink()
    with pytest.raises(TonearmError, match=r"every item of .* is left out: 6 no audio file"):
        read_corpus([fma])
