"""Temporary folders: removed at the end, after an error, and after a kill."""

import os
import signal
import subprocess
import sys

import pytest

from tonearm.errors import TonearmError
from tonearm.files import temporary_names
from tonearm.files.temporary_folder import temporary_folder

KILLED = """
import os, signal, sys, tempfile
tempfile.tempdir = sys.argv[1]
from tonearm.files.temporary_folder import temporary_folder
with temporary_folder() as folder:
    (folder / "rows").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    temporary_names.remove_abandoned.cache_clear()
    return tmp_path


def test_the_folder_is_removed_with_its_files(place):
    with temporary_folder() as folder:
        assert folder.parent == place and folder.stat().st_mode & 0o777 == 0o700
        (folder / "rows").write_text("x")
    assert not list(place.iterdir())
    with pytest.raises(KeyError), temporary_folder():
        raise KeyError
    assert not list(place.iterdir())


def test_the_folders_that_were_looked_through_are_not_all_remembered(place):
    """A studio makes one for every export, and writes into it."""
    for number in range(200):
        temporary_names.remove_abandoned(place / str(number))
    assert temporary_names.remove_abandoned.cache_info().currsize <= 64


def test_the_folder_of_a_killed_process_is_removed_by_the_next(place):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(place)], env=os.environ, capture_output=True, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list(place.iterdir())) == 1
    with temporary_folder() as folder:
        assert list(place.iterdir()) == [folder]


def test_a_folder_that_cannot_be_made_is_one_line(place, monkeypatch):
    (place / "file").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(place / "file"))
    with (
        pytest.raises(TonearmError, match=r"cannot write .*choose another folder"),
        temporary_folder(),
    ):
        pass
