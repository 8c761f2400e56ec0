"""Files that are written whole or not at all."""

import errno
import os
from pathlib import Path

import pytest

from tonearm.atomic import atomic_folder, atomic_write, atomic_write_all
from tonearm.errors import TonearmError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_when_the_block_ends_without_an_error(tmp_path):
    target = tmp_path / "new" / "x.txt"
    with atomic_write(target) as temporary:
        temporary.write_text("all of it")
        assert not target.exists() and temporary.suffix == ".txt"
    assert target.read_text() == "all of it" and names(target.parent) == ["x.txt"]


@pytest.mark.parametrize(
    "failure", [ValueError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full"), OSError("x")]
)
def test_the_old_file_is_kept_on_any_error(tmp_path, failure):
    target = tmp_path / "x.txt"
    target.write_text("before")
    expected = TonearmError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected), atomic_write(target) as temporary:
        temporary.write_text("hal")
        raise failure
    assert target.read_text() == "before" and names(tmp_path) == ["x.txt"]


def test_a_full_disk_is_named(tmp_path):
    with pytest.raises(TonearmError, match="the disk is full"), atomic_write(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_unwritable_paths_are_refused_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for target in (
        tmp_path / "file" / "x",
        tmp_path / "folder",
        tmp_path / ("x" * 300),
        tmp_path / "file" / "y" / "z",
    ):
        with (
            pytest.raises(TonearmError, match="cannot write") as error,
            atomic_write(target) as temporary,
        ):
            temporary.write_text("content")
        assert "\n" not in str(error.value)
    assert names(tmp_path) == ["file", "folder"]


def test_several_files_appear_together(tmp_path):
    targets = [tmp_path / "a.wav", tmp_path / "new" / "a.json"]
    targets[0].write_text("before")
    with atomic_write_all(targets) as temporaries:
        for temporary in temporaries:
            temporary.write_text("all of it")
        assert targets[0].read_text() == "before" and not targets[1].exists()
    assert [target.read_text() for target in targets] == ["all of it"] * 2
    assert names(tmp_path) == ["a.wav", "new"] and names(tmp_path / "new") == ["a.json"]


def test_of_several_files_none_changes_if_one_cannot_reach_the_disk(tmp_path, monkeypatch):
    targets = [tmp_path / "a.wav", tmp_path / "a.json"]
    for target in targets:
        target.write_text("before")
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(TonearmError, match=r"a\.wav: the disk is full"):  # noqa: SIM117
        with atomic_write_all(targets) as temporaries:
            for temporary in temporaries:
                temporary.write_text("after")
    assert [target.read_text() for target in targets] == ["before"] * 2
    assert names(tmp_path) == ["a.json", "a.wav"]


def is_result(name: str) -> bool:
    return name.endswith(".wav")


def test_a_new_folder_appears_whole(tmp_path):
    target = tmp_path / "deep" / "result"
    with atomic_folder(target, "index.html", is_result) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a.wav").write_text("a")
        assert not target.exists()
    assert names(target.parent) == ["result"] and names(target / "sub") == ["a.wav"]


def test_an_old_result_is_replaced_and_other_files_are_kept(tmp_path):
    for name in ("index.html", "old.wav", "a.wav", "notes.txt"):
        (tmp_path / name).write_text("before")
    with atomic_folder(tmp_path, "index.html", is_result) as temporary:
        for name in ("index.html", "a.wav"):
            (temporary / name).write_text("after")
    assert names(tmp_path) == ["a.wav", "index.html", "notes.txt"]
    assert (tmp_path / "a.wav").read_text() == "after"


@pytest.mark.parametrize(
    "failure", [ValueError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "full")]
)
@pytest.mark.parametrize("exists", [False, True])
def test_a_failed_result_leaves_the_folder_as_it_was(tmp_path, failure, exists):
    target = tmp_path / "result"
    if exists:
        target.mkdir()
        (target / "old.wav").write_text("before")
    expected = TonearmError if isinstance(failure, OSError) else type(failure)
    with pytest.raises(expected), atomic_folder(target, "x", is_result) as temporary:
        (temporary / "new.wav").write_text("hal")
        raise failure
    assert names(tmp_path) == (["result"] if exists else [])
    assert not exists or names(target) == ["old.wav"]
