"""GTZAN in both of its layouts, with the broken jazz.00054.wav of Kaggle's copy."""

from pathlib import Path

import pytest
import soundfile

from tests.measures.sounds import tone
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.reading import skip_log, sounding_clips
from tonearm.datasets.skips import UNREADABLE

RATE = 22_050
GENRES = ("blues", "jazz")


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    """Data/ as Kaggle's archive unpacks: audio, spectrograms and tables of features."""
    for genre in GENRES:
        for number in (0, 1, 54):
            path = tmp_path / "Data" / "genres_original" / genre / f"{genre}.{number:05d}.wav"
            tone(330, 0.5).resampled(RATE).write(path)
        (tmp_path / "Data" / "images_original" / genre).mkdir(parents=True)
        (tmp_path / "Data" / "images_original" / genre / f"{genre}00000.png").write_bytes(b"PNG")
    (tmp_path / "Data" / "features_30_sec.csv").write_text("filename,length\n")
    broken = tmp_path / "Data" / "genres_original" / "jazz" / "jazz.00054.wav"
    broken.write_bytes(b"\0" * 1024)
    return tmp_path / "Data"


@pytest.mark.parametrize("place", ["", "..", "genres_original"])
def test_the_excerpts_of_kaggles_copy_are_found(kaggle: Path, place: str) -> None:
    corpus = read_corpus([kaggle / place])
    assert corpus.layout.name == "gtzan"
    assert [(file.label, file.track) for file in corpus] == [
        (genre, f"{genre}.{number:05d}") for genre in GENRES for number in (0, 1, 54)
    ]


def test_the_broken_excerpt_is_left_out_with_a_count(kaggle: Path) -> None:
    corpus = read_corpus([kaggle])
    log = skip_log(corpus)
    tracks = [file.track for file, _ in sounding_clips(corpus, log)]
    assert len(tracks) == 5 and "jazz.00054" not in tracks
    (skipped,) = log.skipped
    assert skipped.reason == UNREADABLE and skipped.known and len(skipped.names) == 1
    assert "1 unreadable" in str(skipped) and "jazz.00054.wav" in skipped.detail


def test_the_original_archive_has_au_files(tmp_path: Path) -> None:
    for genre in GENRES:
        folder = tmp_path / "genres" / genre
        folder.mkdir(parents=True)
        for number in range(2):
            path = folder / f"{genre}.{number:05d}.au"
            samples = tone(330, 0.5).resampled(RATE).mono
            soundfile.write(path, samples, RATE, format="AU", subtype="PCM_16", endian="BIG")
        (folder / "input.mf").write_text("")
    (tmp_path / "genres" / "bextract_single.mf").write_text("")
    corpus = read_corpus([tmp_path])
    assert corpus.layout.name == "gtzan" and len(corpus) == 4
    read = [clip for _, clip in sounding_clips(corpus, skip_log(corpus))]
    assert [clip.sample_rate for clip in read] == [RATE] * 4 and read[0].samples.shape[0] == 1


def test_a_folder_per_genre_without_gtzans_names_is_a_folder_per_label(tmp_path: Path) -> None:
    for genre in GENRES:
        tone(330, 0.5).write(tmp_path / genre / "song.wav")
    assert read_corpus([tmp_path]).layout.name == "folders"
