"""tonearm live: its arguments, and a run in a pseudo-terminal of its own."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from tonearm.terminal import play as playing

TIMEOUT = 180  # seconds
CODE = "from tonearm.cli import main; raise SystemExit(main())"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "fast"], "mode 'fast' is unknown"),
        (["--lead", "9"], "lead of 9 s"),
        (["--format", "mp3"], "format 'mp3' is unknown"),
        (["--knob", "nothing"], "no knob 'nothing'"),
        (["--prompt", " "], "the prompt is empty"),
        (["--out", "fast.txt"], "fast.txt is a file"),
        (["--seed", "-1"], "seed -1"),
    ],
)
def test_mistakes_are_one_line(run, tiny, monkeypatch, arguments, message):
    monkeypatch.setattr(playing, "check_terminal", lambda: None)
    outcome = run("live", "--output", "null", *arguments, *tiny())
    assert outcome.code == 2
    assert message in outcome.err and outcome.err.count("\n") == 1


def test_a_pipe_is_refused_before_a_model_is_loaded(run):
    outcome = run("live", "--model", "nowhere/nothing")
    assert outcome.code == 2
    assert "needs a terminal" in outcome.err and "tonearm studio" in outcome.err
    assert outcome.err.count("\n") == 1


def obey_ctrl_c() -> None:
    """A shell's background job, as the tests may be, ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """`tonearm live` in a pseudo-terminal of 80 columns."""

    def __init__(self, *arguments: str):
        self.controller, self.terminal = pty.openpty()
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(self.terminal)
        self.shown = ""
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, "live", *map(str, arguments)],
            stdin=self.terminal,
            stdout=self.terminal,
            stderr=self.terminal,
            env=os.environ | {"TERM": "xterm-256color", "PYTHONUTF8": "1"},
            start_new_session=True,
            preexec_fn=obey_ctrl_c,
        )

    def until(self, part: str) -> None:
        """Wait until a text has been shown since the last call."""
        end = time.monotonic() + TIMEOUT
        while part not in self.shown:
            assert time.monotonic() < end, self.shown[-2000:]
            self.pull()
        self.shown = ""

    def pull(self) -> None:
        if select.select([self.controller], [], [], 0.2)[0]:
            self.shown += os.read(self.controller, 65_536).decode(errors="replace")

    def press(self, keys: str) -> None:
        os.write(self.controller, keys.encode())

    def end(self) -> int:
        end = time.monotonic() + TIMEOUT
        while self.process.poll() is None:
            assert time.monotonic() < end, self.shown[-2000:]
            self.pull()
        self.pull()
        return self.process.returncode

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.controller)
        os.close(self.terminal)


@pytest.fixture
def terminal(tiny, tmp_path):
    opened = []

    def start(*arguments) -> Terminal:
        options = ["--mode", "live", "--out", tmp_path / "takes", "--prompt", "a folk tune"]
        opened.append(Terminal(*options, *arguments, *tiny()))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


@pytest.mark.parametrize("by", ["ctrl-c", "sigterm"])
def test_a_signal_keeps_the_take_and_restores_the_terminal(terminal, tmp_path, by):
    one = terminal("--output", "null")
    one.until("playing 00:01")
    one.process.send_signal(signal.SIGINT if by == "ctrl-c" else signal.SIGTERM)
    assert one.end() == 0, one.shown
    assert "take 1:" in one.shown and "Traceback" not in one.shown
    assert termios.tcgetattr(one.terminal) == one.before
    assert (tmp_path / "takes" / "take-1" / "steered.wav").is_file()
    assert "\x1b[?1049l" in one.shown  # the first screen is back


def test_keys_act_and_a_file_receives_the_sound(terminal, tmp_path):
    one = terminal("--output", tmp_path / "out.wav")
    one.until("playing 00:01")
    one.press("x")
    one.until("playing B (plain)")
    one.press("pjazz")
    one.until("prompt  a folk tunejazz_")
    one.press("\x1b")
    one.until("prompt  a folk tune ")
    one.press("q")
    assert one.end() == 0, one.shown
    assert (tmp_path / "out.wav").is_file() and (tmp_path / "takes" / "take-1").is_dir()


def test_an_absent_device_is_one_line(terminal):
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError) as error:
        pytest.skip(f"sounddevice or PortAudio is absent: {error}")
    one = terminal("--output", "no such device")
    assert one.end() == 2
    assert "cannot play to device 'no such device'" in one.shown
    assert termios.tcgetattr(one.terminal) == one.before
