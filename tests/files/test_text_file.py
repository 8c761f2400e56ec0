"""Text and JSON files of users: limits of size, pipes, one line for each fault."""

import os
import threading
from pathlib import Path

import pytest

from tonearm.datasets.captions import prompts_of_takes
from tonearm.datasets.prompts import read_prompts
from tonearm.datasets.tables import read_table
from tonearm.errors import TonearmError
from tonearm.files import text_file
from tonearm.files.text_file import read_json, read_text
from tonearm.generation.provenance import read_sidecar
from tonearm.steering import Steering

ENDLESS = Path("/dev/zero")
needs_endless = pytest.mark.skipif(not ENDLESS.exists(), reason="no /dev/zero here")
needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


def refusal(function, *arguments) -> str:
    with pytest.raises(TonearmError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def rows(path: Path) -> list:
    return list(read_table(path, ("file_name",)))


READERS = [read_prompts, Steering.from_file, read_sidecar, rows]


@needs_endless
@pytest.mark.parametrize("reader", READERS)
def test_an_endless_file_is_refused_by_every_reader(reader):
    said = refusal(reader, ENDLESS)
    assert said.startswith("/dev/zero is larger than 32 MiB, the limit of a ")


@pytest.mark.parametrize("reader", READERS)
def test_a_file_larger_than_the_limit_is_refused_by_every_reader(tmp_path, monkeypatch, reader):
    monkeypatch.setattr(text_file, "MAX_TEXT_BYTES", 2**20)
    path = tmp_path / "x"
    with path.open("wb") as file:
        file.truncate(2**20 + 1)
    assert f"{path} is larger than 1 MiB" in refusal(reader, path)


def test_a_file_of_the_largest_size_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(text_file, "MAX_TEXT_BYTES", 4)
    (tmp_path / "x").write_text("1234")
    assert read_text(tmp_path / "x", "file", "") == "1234"


@needs_pipes
@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_that_nobody_writes_to_does_not_wait(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe")
    outcome = []

    def read() -> None:
        try:
            outcome.append(reader(tmp_path / "pipe"))
        except TonearmError as error:
            outcome.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(10)
    assert outcome and (outcome == [[]] or "\n" not in str(outcome[0]))


@needs_pipes
def test_a_pipe_is_read_to_its_end(tmp_path):
    pipe, other = os.pipe()

    def write() -> None:
        for _ in range(100):
            os.write(other, b"a fast tune\n" * 1000)
        os.close(other)

    thread = threading.Thread(target=write)
    thread.start()
    prompts = read_prompts(f"/dev/fd/{pipe}")
    thread.join()
    os.close(pipe)
    assert prompts == ["a fast tune"] * 100_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "the key 'c' is there twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5000, "digits"),
        (b'{"a": 1', "as JSON"),
        (b'"\xff"', "not UTF-8 text (byte 1)"),
        (b"", "as JSON"),
    ],
)
def test_what_is_not_json_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    message = refusal(read_json, path, "file", "give another")
    assert said in message and str(path) in message and message.endswith("; give another")
    assert len(message) < 500


def test_a_byte_order_mark_is_skipped(tmp_path):
    (tmp_path / "x.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "x.json", "file", "") == [1]


def test_folders_absent_files_and_impossible_paths_are_refused(tmp_path):
    assert f"{tmp_path} is a folder; give" in refusal(read_text, tmp_path, "list", "give")
    assert "no list at " in refusal(read_text, tmp_path / "absent", "list", "give")
    for path in ("a\0b", "a" * 5000, "\udcff", tmp_path / ("x" * 300)):
        assert len(refusal(read_text, path, "list", "give")) < 400


@pytest.mark.parametrize("content", [b"[1]", b"{}", b'{"prompt": 3}', b"{"])
def test_a_sidecar_without_a_prompt_is_refused_by_name(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    assert "x.json" in refusal(prompts_of_takes, [tmp_path / "x.wav"])


def test_a_file_of_too_many_prompts_is_refused(tmp_path):
    (tmp_path / "many.txt").write_text("\n" * 200_001)
    assert "200002 lines; give at most 200000" in refusal(read_prompts, tmp_path / "many.txt")
