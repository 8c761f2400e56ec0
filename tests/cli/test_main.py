import os
import subprocess
import sys

import pytest

from tonearm import __version__
from tonearm.cli import main

COMMANDS = ("generate", "compare", "learn", "vectors", "measure", "inspect", "models", "doctor", "replay")


def test_alone_it_shows_help_with_every_command(run):
    alone, asked = run(), run("--help")
    assert alone.code == asked.code == 0
    for command in COMMANDS:
        assert command in alone.out and command in asked.out


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_fits_80_columns(run, command):
    outcome = run(command, "--help")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_version(run):
    assert run("--version").out == f"tonearm {__version__}\n"


def test_help_imports_nothing_heavy():
    program = (
        "import sys; from tonearm.cli import main; main(['--help']); "
        "heavy = {'torch', 'transformers', 'librosa', 'numpy', 'matplotlib', 'scipy'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["generat"], ["generate", "--nonsense"], ["generate", "a", "--seconds", "ten"], ["compare"], ["learn", "x"]],
)
def test_usage_errors_are_one_line(run, arguments):
    outcome = run(*arguments)
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.startswith("tonearm: ") and outcome.err.count("\n") == 1


def test_a_prompt_without_quotes_is_told_of_them(run):
    assert "quotes" in run("generate", "a", "folk", "tune").err


def test_debug_shows_the_traceback(folder, monkeypatch):
    monkeypatch.setenv("TONEARM_DEBUG", "1")
    with pytest.raises(Exception, match="no file at nowhere"):
        main(["replay", "nowhere.json"])


def test_a_closed_pipe_is_quiet():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from tonearm.cli import main; sys.exit(main(['--help']))"],
            stdout=writer, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    finally:
        os.close(writer)
    assert done.returncode == 1 and done.stderr == ""
