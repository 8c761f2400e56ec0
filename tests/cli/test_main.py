"""The command line as a whole: help, usage errors, messages."""

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import get_type_hints

import pytest

import tonearm
from tonearm import __version__
from tonearm.cli import _app, main
from tonearm.musicgen.engine import DecoderEngine

COMMANDS = (
    "generate", "compare", "learn", "vectors", "measure", "distance", "classifier", "cluster",
    "inspect", "models", "doctor", "replay", "study", "report", "calibrate", "sae",
    "listen",
)  # fmt: skip


EXCHANGES = ("list", "bundle", "unbundle", "import", "export", "push", "pull")


def test_alone_it_shows_help_with_every_command(run):
    alone, asked = run(), run("--help")
    assert alone.code == asked.code == 0
    for command in COMMANDS:
        assert command in alone.out and command in asked.out


@pytest.mark.parametrize("command", [*COMMANDS, *(f"vectors {one}" for one in EXCHANGES)])
def test_help_of_a_command_fits_80_columns(run, command):
    outcome = run(*command.split(), "--help")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["train", "features", "vector", "learn"])
def test_help_of_a_command_of_sae_fits_80_columns(run, command):
    outcome = run("sae", command, "--help")
    assert outcome.code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80


@pytest.mark.parametrize("command", ["make", "analyse"])
def test_help_of_a_command_of_listen_fits_80_columns(run, command):
    outcome = run("listen", command, "--help")
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


def test_nothing_is_imported_before_main_handles_an_interrupt():
    program = (
        "import sys; before = set(sys.modules); import tonearm.cli; "
        "print(sorted(set(sys.modules) - before))"
    )
    source = str(Path(tonearm.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],  # without site, which imports modules of its own
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )
    assert done.stdout == "['tonearm', 'tonearm.cli']\n", done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["generat"],
        ["generate", "--nonsense"],
        ["generate", "a", "--seconds", "ten"],
        ["compare"],
        ["learn", "x"],
    ],
)
def test_usage_errors_are_one_line(run, arguments):
    outcome = run(*arguments)
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.startswith("tonearm: ") and outcome.err.count("\n") == 1


def test_a_prompt_without_quotes_gets_a_hint(run):
    assert "quotes" in run("generate", "a", "folk", "tune").err


def test_debug_shows_the_traceback(folder, monkeypatch):
    monkeypatch.setenv("TONEARM_DEBUG", "1")
    with pytest.raises(Exception, match="no sidecar at nowhere"):
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


def test_a_warning_of_the_library_is_one_line_on_stderr(play, monkeypatch):
    real = DecoderEngine.rows

    def rows(engine, request, progress=None):
        logging.getLogger("tonearm.musicgen.cuda_graphs").warning("graphs are\nnot possible")
        return real(engine, request, progress)

    monkeypatch.setattr(DecoderEngine, "rows", rows)
    outcome = play()
    assert outcome.code == 0
    assert outcome.err == "tonearm: warning: graphs are not possible\n"


def test_warnings_of_other_libraries_are_hidden(play, monkeypatch):
    real = DecoderEngine.rows

    def rows(engine, request, progress=None):
        warnings.warn_explicit("noise", UserWarning, "other.py", 1, module="other")
        return real(engine, request, progress)

    monkeypatch.setattr(DecoderEngine, "rows", rows)
    assert play().err == ""


def test_options_are_named_explicitly():
    """typer 0.27.2 derives an option's name from its metavar if no name is given."""
    found = [*_app.app.registered_commands, *_app.vector_commands.registered_commands]
    found += [
        one
        for group in _app.app.registered_groups
        for one in group.typer_instance.registered_commands
    ]
    assert len(found) >= len(COMMANDS) + len(EXCHANGES) - 1  # `vectors` is a group
    for command in found:
        hints = get_type_hints(command.callback, include_extras=True)
        for name, hint in hints.items():
            for option in getattr(hint, "__metadata__", ()):
                if type(option).__name__ == "OptionInfo":
                    declared = [option.default, *(option.param_decls or ())]
                    is_named = any(str(one).startswith("--") for one in declared)
                    assert is_named, f"{command.callback}: {name}"


def test_the_end_of_a_command_collects_no_garbage():
    """Python's last collections take over a second; `gc.freeze` spares them."""
    program = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 1000)); "
        "from tonearm.cli import main; main(['models'])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stdout.decode().splitlines()[-1] == "True"
