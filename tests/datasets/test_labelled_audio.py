from pathlib import Path

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import LabelledFile, read_corpus
from tonearm.errors import TonearmError


def write(*paths: Path) -> None:
    for path in paths:
        Clip(np.ones(10), 8000).write(path)


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
    assert list(read_corpus([tmp_path])) == expected
    (tmp_path / "metadata.csv").unlink()
    lines = [
        '{"file_name": "a.wav", "label": "jazz", "track": "one"}',
        '{"file_name": "sub/b.wav", "label": "jazz", "track": "one"}',
        "",
        '{"file_name": "c.wav", "label": "rock"}',
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    assert list(read_corpus([tmp_path])) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", "file_name,genre\na.wav,jazz\n", "no column label; choose one .*: genre"),
        ("metadata.csv", "file_name,label\na.wav,jazz\nb.wav,\n", "row 2 of .* lacks label"),
        ("metadata.csv", "label\njazz\n", "row 1 of .* lacks file_name"),
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


def test_a_column_is_chosen_as_the_label_and_others_select(tmp_path: Path) -> None:
    rows = ["file_name,pitch,octave", "a.wav,C,3", "b.wav,D,3", "c.wav,C,4", "d.wav,D,4"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    found = read_corpus([tmp_path], label="pitch", where={"octave": "4"})
    assert [(file.path.name, file.label) for file in found] == [("c.wav", "C"), ("d.wav", "D")]
    assert found[0].columns == {"pitch": "C", "octave": "4"}
    assert read_corpus([tmp_path], label="octave").labels == ["3", "4"]


def test_zero_and_false_are_labels(tmp_path: Path) -> None:
    lines = ['{"file_name": "a.wav", "label": 0}', '{"file_name": "b.wav", "label": false}']
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    assert read_corpus([tmp_path]).labels == ["0", "False"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "key"}, "no column 'key'; its columns are label, octave"),
        ({"where": {"key": "C"}}, "no column 'key'; its columns are label, octave"),
        ({"where": {"octave": "9"}}, "has '9' as octave; its values are 3, 4"),
        ({"where": {"octave": "3", "label": "rock"}}, "no item of .* has octave=3 and label=rock"),
        ({"where": {"octave": "3"}}, "label jazz alone"),
        ({"layout": "mp3"}, "no layout 'mp3'; use one of metadata, gtzan"),
        ({"layout": "gtzan"}, "has not the layout gtzan; it consists of genres_original"),
        ({"label": 3}, "label 3 is of type int"),
        ({"where": ["octave"]}, "where .* is of type list"),
        ({"where": {"octave": 3}}, "where\\['octave'\\] 3 is of type int"),
    ],
)
def test_unusable_choices_are_refused(tmp_path: Path, options: dict, message: str) -> None:
    rows = "file_name,label,octave\na.wav,jazz,3\nb.wav,rock,4\n"
    (tmp_path / "metadata.csv").write_text(rows)
    with pytest.raises(TonearmError, match=message):
        read_corpus([tmp_path], **options)


def test_folders_per_label_have_no_columns_to_choose(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.wav", tmp_path / "b" / "x.wav")
    for options in ({"label": "genre"}, {"where": {"a": "b"}}, {"layout": "gtzan"}):
        with pytest.raises(TonearmError, match="each is a label"):
            read_corpus([tmp_path / "a", tmp_path / "b"], **options)
    with pytest.raises(TonearmError, match="folders is empty"):
        read_corpus([])
