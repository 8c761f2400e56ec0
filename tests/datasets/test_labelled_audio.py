from pathlib import Path

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import LabelledFile, audio_files, read_corpus
from tonearm.errors import TonearmError


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


def test_a_label_is_the_folder_of_a_file_also_below_a_split(tmp_path: Path) -> None:
    write(
        tmp_path / "train" / "jazz" / "a.wav",
        tmp_path / "test" / "rock" / "a.wav",
        tmp_path / "jazz" / "b.wav",
        tmp_path / "loose.wav",
    )
    found = {
        (file.path.relative_to(tmp_path).as_posix(), file.label) for file in read_corpus([tmp_path])
    }
    assert found == {
        ("train/jazz/a.wav", "jazz"),
        ("test/rock/a.wav", "rock"),
        ("jazz/b.wav", "jazz"),
    }
    assert len({file.track for file in read_corpus([tmp_path])}) == 3


def test_each_of_several_folders_is_a_label(tmp_path: Path) -> None:
    write(tmp_path / "calm" / "a.wav", tmp_path / "energetic" / "deep" / "a.wav")
    found = read_corpus([tmp_path / "calm", tmp_path / "energetic"])
    assert [file.label for file in found] == ["calm", "energetic"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_metadata_names_labels_and_tracks(tmp_path: Path, encoding: str) -> None:
    rows = "file_name,label,track\na.wav,jazz,one\nsub/b.wav,jazz,one\nc.wav,rock,\n"
    (tmp_path / "metadata.csv").write_text(rows, encoding=encoding)
    expected = [
        LabelledFile(tmp_path / "a.wav", "jazz", "one"),
        LabelledFile(tmp_path / "sub" / "b.wav", "jazz", "one"),
        LabelledFile(tmp_path / "c.wav", "rock", "c.wav"),
    ]
    assert read_corpus([tmp_path]) == expected
    (tmp_path / "metadata.csv").unlink()
    lines = [
        '{"file_name": "a.wav", "label": "jazz", "track": "one"}',
        '{"file_name": "sub/b.wav", "label": "jazz", "track": "one"}',
        "",
        '{"file_name": "c.wav", "label": "rock"}',
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    assert read_corpus([tmp_path]) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", "file_name,genre\na.wav,jazz\n", "row 1 of .* lacks file_name or label"),
        ("metadata.csv", "file_name,label\na.wav,jazz\n", "label jazz alone"),
        ("metadata.csv", "", "none"),
        ("metadata.jsonl", "{", "cannot read"),
        ("metadata.jsonl", "[1]", "cannot read"),
        ("metadata.csv", b"\xff\xfe\x00", "cannot read"),
    ],
)
def test_unusable_metadata_is_refused(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(TonearmError, match=message):
        read_corpus([tmp_path])


def test_folders_without_labels_are_refused(tmp_path: Path) -> None:
    write(
        tmp_path / "a" / "same" / "x.wav",
        tmp_path / "b" / "same" / "x.wav",
        tmp_path / "flat" / "x.wav",
    )
    (tmp_path / "empty").mkdir()
    for folders, message in [
        ([tmp_path / "absent"], "no folder"),
        ([tmp_path / "empty"], "no audio"),
        ([tmp_path / "flat"], "none"),
        ([tmp_path / "a" / "same", tmp_path / "b" / "same"], "one name"),
        ([tmp_path / "a"], "label same alone"),
    ]:
        with pytest.raises(TonearmError, match=message):
            read_corpus(folders)
