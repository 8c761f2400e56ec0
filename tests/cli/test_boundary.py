"""Texts and paths that no file can hold: one line, before any work."""

import importlib
import os
import signal
import subprocess
import sys
import time

import pytest

from tonearm.errors import TonearmError

LONG_NAME, LONG_PATH = "x" * 300, "y/" * 3000


@pytest.fixture
def no_work(monkeypatch):
    def load(*arguments):
        raise AssertionError("a model was loaded")

    for command in ("generate", "compare", "learn"):
        module = importlib.import_module(f"tonearm.cli.{command}")
        monkeypatch.setattr(module, "load_model", load)


@pytest.mark.parametrize("bad", ["a\udcffb", "a\0b"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "{}"],
        ["generate", "a", "--negative", "{}"],
        ["generate", "a", "--steer", "{}=raw:1"],
        ["generate", "a", "--steering", "{}"],
        ["generate", "a", "--model", "{}"],
        ["generate", "a", "-o", "{}.wav"],
        ["generate", "--prompts", "{}"],
        ["generate", "a", "--melody", "{}"],
        ["compare", "{}", "--steer", "tempo=raw:1", "--out", "c"],
        ["learn", "{}", "--positive", "fast.txt", "--negative", "slow.txt"],
        ["learn", "a", "--positive", "{}", "--negative", "slow.txt"],
        ["vectors", "{}"],
        ["measure", "{}"],
        ["measure", "tone.wav", "--beats", "{}"],
        ["measure", "tone.wav", "--text", "{}"],
        ["measure", "tone.wav", "--labels", "{},b"],
        ["inspect", "{}"],
        ["replay", "{}"],
    ],
)
def test_null_characters_and_bytes_that_are_not_utf8_are_refused(run, no_work, bad, arguments):
    outcome = run(*(one.format(bad) for one in arguments))
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.count("\n") == 1 and ("null" in outcome.err or "UTF-8" in outcome.err)


@pytest.mark.parametrize("long", [LONG_NAME, LONG_PATH])
@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "a", "--model", "{}"],
        ["generate", "a", "-o", "{}.wav"],
        ["generate", "a", "--steering", "{}"],
        ["generate", "--prompts", "{}"],
        ["generate", "a", "--continue-from", "{}"],
        ["learn", "a", "--positive", "{}", "--negative", "slow.txt"],
        ["learn", "{}", "--positive", "fast.txt", "--negative", "slow.txt"],
        ["vectors", "{}"],
        ["measure", "{}"],
        ["measure", "tone.wav", "--beats", "{}"],
        ["measure", "tone.wav", "--text", "a", "--clap", "{}"],
        ["inspect", "{}"],
        ["replay", "{}"],
        ["compare", "a", "--steer", "tempo=raw:1", "--out", "{}"],
    ],
)
def test_a_path_that_is_too_long_is_refused_in_one_line(run, no_work, long, arguments):
    outcome = run(*(one.format(long) for one in arguments))
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.count("\n") == 1 and len(outcome.err) < 500


@pytest.mark.parametrize("long", [LONG_NAME, "z/" * 2000])
def test_a_vector_of_a_long_name_is_refused_in_one_line(play, long):
    for name in (long, f"{long}.safetensors"):
        outcome = play("--steer", f"{name}=raw:1")
        assert outcome.code == 2 and outcome.err.count("\n") == 1 and len(outcome.err) < 500


@pytest.mark.parametrize("milliseconds", [0, 60, 120, 200, 300])
def test_an_interrupt_at_the_start_ends_without_traceback(folder, milliseconds):
    # A test run in the background ignores SIGINT, and so would its children.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import sys; from tonearm.cli import main; print('started', flush=True); "
        "sys.exit(main(['generate', 'a folk tune', '--seconds', '30']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )
    assert process.stdout is not None and process.stdout.readline() == "started\n"
    time.sleep(milliseconds / 1000)
    process.send_signal(signal.SIGINT)
    _, shown = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert "Traceback" not in shown and shown.count("\n") == 1


def test_an_interrupt_within_an_import_ends_the_process_at_once(tmp_path):
    (tmp_path / "slow_library.py").write_text(
        "import os, signal\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    sum(range(10**6))\n"
        "except BaseException:\n"
        "    raise RecursionError('import code of libraries is not made for exceptions')\n"
    )
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import tonearm.cli._app; "
        "tonearm.cli._app.run = lambda arguments: __import__('slow_library'); "
        "from tonearm.cli import main; sys.exit(main(['models']))"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert (done.returncode, done.stderr) == (130, "tonearm: stopped\n")


def test_an_interrupt_that_a_library_reports_as_an_error_ends_as_an_interrupt(
    run, tiny, monkeypatch
):
    def load(*arguments):
        try:
            os.kill(os.getpid(), signal.SIGINT)
            sum(range(10**6))
        except KeyboardInterrupt:
            raise TonearmError("cannot load checkpoint: Already borrowed") from None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(importlib.import_module("tonearm.cli.generate"), "load_model", load)
    try:
        outcome = run("generate", "a folk tune", *tiny())
    finally:
        signal.signal(signal.SIGINT, before)
    assert (outcome.code, outcome.err) == (130, "tonearm: stopped\n")
    later = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a background process
    try:
        assert run("inspect", "absent").code == 2  # the next command starts anew
    finally:
        signal.signal(signal.SIGINT, later)
