from pathlib import Path

import numpy as np

from tonearm.audio import Clip
from tonearm.datasets.audio_files import audio_files


def write(*paths: Path) -> None:
    for path in paths:
        Clip(np.ones(10), 8000).write(path)


def test_folders_are_searched_and_files_kept_in_order(tmp_path: Path) -> None:
    write(
        tmp_path / "b.wav", tmp_path / "x" / "c.flac", tmp_path / "a.ogg", tmp_path / ".hidden.wav"
    )
    (tmp_path / "notes.txt").write_text("")
    found = audio_files([tmp_path / "b.wav", tmp_path, Path("absent.wav")])
    assert found == [
        tmp_path / "b.wav",
        tmp_path / "a.ogg",
        tmp_path / "x" / "c.flac",
        Path("absent.wav"),
    ]


def test_files_derived_from_takes_are_left_out_of_folders(tmp_path: Path) -> None:
    takes = [tmp_path / "cmp" / "plain.wav", tmp_path / "take.v1.flac"]
    derived = [
        tmp_path / "cmp" / "listen" / "plain.wav",
        tmp_path / "take.v1.melody.wav",
        tmp_path / "take.v1.audio_prompt.wav",
        tmp_path / ".1234.part" / "plain.wav",
    ]
    others = [tmp_path / "listen" / "song.wav", tmp_path / "song.melody.wav"]
    write(*takes, *derived, *others)
    for take in takes:
        take.with_suffix(".json").write_text("{}")
    assert set(audio_files([tmp_path])) == {*takes, *others}
    assert audio_files([tmp_path / "cmp" / "listen"]) == derived[:1]
    assert audio_files(derived) == derived
