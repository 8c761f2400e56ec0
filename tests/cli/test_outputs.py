"""Outputs that cannot be written are refused before any work."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

FORMS = {
    "generate": ["generate", "a folk tune", "-o", "{}.wav"],
    "replay": ["replay", "absent.json", "-o", "{}.wav"],
    "compare": ["compare", "a folk tune", "--steer", "energy=raw:1", "--out", "{}"],
    "learn": ["learn", "x", "--positive", "fast.txt", "--negative", "slow.txt", "-o", "{}.safetensors"],
    "classifier": ["classifier", "{}", "one", "two"],
}  # fmt: skip

MAIN = "import sys; from tonearm.cli import main; sys.exit(main({}))"


@pytest.fixture
def no_work(monkeypatch):
    def load(*_, **__):
        raise AssertionError("loaded before the output was checked")

    for command, name in (
        ("generate", "load_model"),
        ("compare", "load_model"),
        ("learn", "load_model"),
        ("classifier", "load_cached_clap"),
    ):
        monkeypatch.setattr(importlib.import_module(f"tonearm.cli.{command}"), name, load)


@pytest.mark.parametrize("command", FORMS)
@pytest.mark.parametrize(
    "name",
    ["/proc/x", "/proc/new/x", "x" * 300, "tone.wav/x", "a\udcff", "folder/a\udcff"],
    ids=["proc", "below proc", "300 bytes", "below a file", "not UTF-8", "not UTF-8 in a folder"],
)
def test_outputs_that_cannot_be_written_are_refused(run, folder, no_work, command, name):
    before = sorted(folder.rglob("*"))
    outcome = run(*(argument.format(name) for argument in FORMS[command]))
    assert outcome.code == 2 and outcome.out == "" and outcome.err.count("\n") == 1, outcome.err
    assert "absent.json" not in outcome.err and sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("command", ["generate", "replay"])
@pytest.mark.parametrize("size", [194, 240])
def test_names_that_leave_no_room_for_the_files_beside_a_take_are_refused(
    run, no_work, command, size
):
    outcome = run(*(argument.format("x" * size) for argument in FORMS[command]))
    assert outcome.code == 2 and "use at most 193" in outcome.err


def test_several_takes_are_checked_by_their_own_names(run, no_work):
    outcome = run("generate", "a folk tune", "-n", 100, "-o", f"{'x' * 190}.wav")
    assert outcome.code == 2 and "use at most 193" in outcome.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(run, folder, no_work):
    (folder / "locked").mkdir(mode=0o500)
    assert run("generate", "a folk tune", "-o", "locked/x.wav").code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["models"],
        ["models", "--json"],
        ["vectors"],
        ["vectors", "--json"],
        ["--help"],
        ["inspect", "tone.wav"],
        ["measure", "tone.wav", "--csv"],
    ],
)
def test_printed_text_on_a_full_disk_is_one_line(folder, arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", MAIN.format(arguments)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and "cannot write: No space left" in done.stderr


@pytest.mark.parametrize("name", [".", ".."])
def test_learn_into_a_folder_is_refused(run, name):
    prompts = ("--positive", "fast.txt", "--negative", "slow.txt")
    outcome = run("learn", "mood", "-o", name, *prompts)
    assert outcome.code == 2 and "name a file in it" in outcome.err and outcome.err.count("\n") == 1
