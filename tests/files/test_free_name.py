"""The next free name of a numbered file."""

import pytest

from tonearm.files.free_name import free_name


@pytest.mark.parametrize(
    ("files", "ending", "expected"),
    [
        ([], ".wav", "take-1.wav"),
        (["take-1.wav", "take-3.wav"], ".wav", "take-2.wav"),
        (["take-1.json"], ".wav", "take-2.wav"),  # whose audio was moved
        (["take-1.audio_prompt.wav"], ".wav", "take-2.wav"),
        (["take-1", "take-10.wav", "mistake-1.wav"], ".wav", "take-1.wav"),
        (["take-1.wav"], "", "take-1"),
        (["take-1"], "", "take-2"),
    ],
)
def test_a_name_is_free_where_no_file_of_its_take_exists(tmp_path, files, ending, expected):
    for name in files:
        (tmp_path / name).touch()
    assert free_name(tmp_path, "take", ending) == tmp_path / expected


def test_the_folder_need_not_exist(tmp_path):
    assert free_name(tmp_path / "new", "take", ".wav") == tmp_path / "new" / "take-1.wav"
