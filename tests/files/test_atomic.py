"""Files that are written whole or not at all."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write, atomic_write_all
from tonearm.files.atomic_folder import atomic_folder, repair_folder
from tonearm.files.temporary_names import owner, remove_abandoned


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


WRITER = """
import os, signal, sys
from pathlib import Path
from tonearm.files.atomic import atomic_write
from tonearm.files.atomic_folder import atomic_folder

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

target, moment = Path(sys.argv[1]), sys.argv[2]
if moment == "file":
    with atomic_write(target / "x.txt") as temporary:
        temporary.write_text("half")
        kill()
real = Path.rename

def rename(path, other):
    if moment == "first rename" or (moment == "second rename" and Path(other) == target.resolve()):
        kill()
    result = real(path, other)
    if moment == "after the renames" and Path(other) == target.resolve():
        kill()
    return result

Path.rename = rename
with atomic_folder(target, "index.html", lambda name: name.endswith(".wav")) as temporary:
    for name in ("index.html", "a.wav"):
        (temporary / name).write_text("new")
    if moment == "block":
        kill()
"""


def killed(target: Path, moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, str(target), moment], check=False)
    assert done.returncode == -signal.SIGKILL


def write_result(target: Path) -> None:
    remove_abandoned.cache_clear()  # as in another run
    with atomic_folder(target, "index.html", is_result) as temporary:
        for name in ("index.html", "a.wav"):
            (temporary / name).write_text("newest")


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


OLD = {"index.html": "old", "a.wav": "old", "b.wav": "old", "notes.txt": "mine"}


@pytest.mark.parametrize("moment", ["block", "first rename", "second rename", "after the renames"])
def test_a_killed_replacement_leaves_one_whole_result_which_the_next_run_replaces(tmp_path, moment):
    target = tmp_path / "result"
    target.mkdir()
    for name, text in OLD.items():
        (target / name).write_text(text)
    killed(target, moment)
    assert len(names(tmp_path)) == 2  # one is hidden, and left by the process
    if target.exists():
        new = {"index.html": "new", "a.wav": "new", "notes.txt": "mine"}
        assert texts(target) == (new if moment == "after the renames" else OLD)
    else:
        assert moment == "second rename"
        repair_folder(target)
        assert texts(target) == OLD
    write_result(target)
    assert names(tmp_path) == ["result"]
    assert texts(target) == {"index.html": "newest", "a.wav": "newest", "notes.txt": "mine"}


def test_the_next_run_removes_a_killed_ones_files_and_no_others(tmp_path):
    """Others: those of a process that runs, of another machine, and of users."""
    killed(tmp_path, "file")
    assert len(names(tmp_path)) == 1 and names(tmp_path)[0].endswith(".part.txt")
    machine, number, started = owner().split("-")
    kept = [
        f".00000000.{owner()}.part.wav",
        f".00000000.{machine}-{number}-{int(started) + 1}.part",  # the clock was set
        f".00000000.{'f' * 8}-999999999-1.part",
        ".notes.part",
        ".0000.part.wav",
    ]
    for name in kept:
        (tmp_path / name).write_text("")
    gone = [
        f".00000000.{machine}-{number}-{int(started) - 3600}.part"
    ]  # its number was given again
    gone += [f".11111111.{machine}-999999999-1.part.wav", f".11111111.{machine}-{'9' * 30}-1.part"]
    for name in gone:
        (tmp_path / name).write_text("")
    remove_abandoned.cache_clear()
    with atomic_write(tmp_path / "y.txt") as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == sorted([*kept, "y.txt"])


def test_a_process_that_replaces_a_folder_now_is_left_alone(tmp_path):
    aside = tmp_path / f".result.{owner()}.old"
    aside.mkdir()
    repair_folder(tmp_path / "result")
    assert names(tmp_path) == [aside.name]


def old_result(folder: Path) -> Path:
    (folder / "sub" / "deep").mkdir(parents=True)
    for name, text in OLD.items():
        (folder / name).write_text(text)
    (folder / "sub" / "deep" / "c.txt").write_text("mine")
    (folder / "link").symlink_to("notes.txt")
    return folder


def test_other_files_folders_and_links_are_kept(tmp_path):
    target = old_result(tmp_path / "result")
    inode = (target / "notes.txt").stat().st_ino
    target.chmod(0o750)
    write_result(target)
    assert names(target) == ["a.wav", "index.html", "link", "notes.txt", "sub"]
    assert (target / "link").readlink() == Path("notes.txt")
    assert (target / "sub" / "deep" / "c.txt").read_text() == "mine"
    assert (target / "notes.txt").stat().st_ino == inode and target.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize("obstacle", ["working directory", "no hard links", "no rename"])
def test_a_folder_that_cannot_be_renamed_is_changed_in_place(tmp_path, monkeypatch, obstacle):
    target = old_result(tmp_path / "result")
    inode = target.stat().st_ino

    def refuse(*_):
        raise OSError(errno.EPERM, "not permitted")

    if obstacle == "working directory":
        monkeypatch.chdir(target / "sub")
        target = Path("..")
    else:
        monkeypatch.setattr(Path, "hardlink_to" if "links" in obstacle else "rename", refuse)
    write_result(target)
    assert target.stat().st_ino == inode
    assert names(tmp_path) == ["result"]
    assert names(target) == ["a.wav", "index.html", "link", "notes.txt", "sub"]
    assert (target / "a.wav").read_text() == "newest"


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    target = old_result(tmp_path / "disk" / "result")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_result(link)
    assert link.is_symlink() and texts(target.parent / "result" / "sub" / "deep") == {
        "c.txt": "mine"
    }
    assert (link / "a.wav").read_text() == "newest" and not (target / "b.wav").exists()


def test_ctrl_c_between_the_renames_puts_the_old_folder_back(tmp_path, monkeypatch):
    target = old_result(tmp_path / "result")
    real = Path.rename

    def rename(path, other):
        if path.name.endswith(".part"):
            raise KeyboardInterrupt
        return real(path, other)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(KeyboardInterrupt):
        write_result(target)
    assert names(tmp_path) == ["result"] and (target / "a.wav").read_text() == "old"


def test_two_processes_leave_the_files_of_one(tmp_path):
    """The second process renames between the two renames of the first, unless it waits."""
    program = (
        "import sys, time; from pathlib import Path; from tonearm.files.atomic import atomic_write_all\n"
        "name, *pauses = sys.argv[1:]\n"
        "def pause(event, arguments):\n"
        "    if event == 'os.rename': time.sleep(float(pauses.pop(0)))\n"
        "sys.addaudithook(pause)\n"
        "with atomic_write_all([Path('a'), Path('b')]) as files:\n"
        "    for file in files: file.write_text(name)\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=tmp_path)
        for arguments in (("first", "0", "1.5"), ("second", "0.5", "0"))
    ]
    assert [process.wait() for process in processes] == [0, 0]
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text()


def test_a_loop_of_links_is_refused_in_one_line(tmp_path):
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(TonearmError) as error, atomic_folder(tmp_path / "a", "x", is_result):
        pass
    assert "\n" not in str(error.value) and names(tmp_path) == ["a"]


def test_a_pipe_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe.wav"
    os.mkfifo(pipe)
    for write in (
        lambda: atomic_write(pipe),
        lambda: atomic_write_all([tmp_path / "a", pipe]),
        lambda: atomic_folder(pipe, "x", is_result),
    ):
        with pytest.raises(TonearmError, match="it is no plain file"), write():
            pass
    assert pipe.is_fifo() and names(tmp_path) == ["pipe.wav"]
