"""tonearm studio: its arguments, the address that it prints, and its end by Ctrl-C."""

import gc
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
import zipfile
from queue import Queue

import numpy as np
import pytest

from tests.live.players import Player
from tonearm.audio import Clip
from tonearm.cli import _playing
from tonearm.errors import TonearmError
from tonearm.live import Session, commands
from tonearm.live.transport import Transport
from tonearm.studio import serve as serving
from tonearm.studio.serve import bind

TIMEOUT = 120  # seconds


@pytest.fixture
def served(monkeypatch):
    """Serving that ends at once; the applications that were served."""
    apps = []

    def end_at_once(app, bound, ready):
        apps.append(app)
        ready()
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "serve", end_at_once)
    return apps


def test_it_prints_the_address_of_the_page(run, tiny, served):
    outcome = run("studio", "--no-browser", "--port", 0, "--osc", 0, "--mode", "live", *tiny())
    assert outcome.code == 0, outcome.err
    assert re.search(r"open http://127\.0\.0\.1:\d+/\n", outcome.out)
    assert re.search(r"OSC +UDP port \d+", outcome.out)
    assert len(served) == 1


def test_a_browser_that_does_not_return_delays_nothing(run, tiny, served, monkeypatch):
    opened, ended, waited = Queue(), threading.Event(), []

    def open_slowly(url: str) -> None:
        opened.put(url)
        waited.append(ended.wait(TIMEOUT))

    monkeypatch.setattr(webbrowser, "open", open_slowly)
    monkeypatch.setenv("DISPLAY", ":0")
    outcome = run("studio", "--port", 0, "--mode", "live", *tiny())
    assert not waited
    ended.set()
    assert outcome.code == 0, outcome.err
    assert f"open {opened.get(timeout=TIMEOUT)}\n" in outcome.out


@pytest.mark.skipif(sys.platform != "linux", reason="other systems open no text browser")
def test_a_text_browser_is_not_opened(run, tiny, served, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert run("studio", "--port", 0, "--mode", "live", *tiny()).code == 0
    assert opened == []


def test_garbage_collections_exclude_what_a_prepared_session_holds(melody):
    gc.unfreeze()
    try:
        with _playing.new_session(melody, "folk", 1, 0.3, "live", None, None) as session:
            session.snapshot().result(TIMEOUT)
            assert gc.get_freeze_count() > 100_000  # torch alone has more
    finally:
        gc.unfreeze()


def test_another_host_has_a_token(run, tiny, served):
    outcome = run(
        "studio", "--no-browser", "--host", "0.0.0.0", "--port", 0, "--mode", "live", *tiny()
    )
    assert outcome.code == 0, outcome.err
    assert re.search(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{32}\n", outcome.out)  # on this machine


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mode", "fast"], "mode 'fast' is unknown"),
        (["--lead", "9"], "lead of 9 s"),
        (["--chunk-frames", "0"], "chunks of 0 frames"),
        (["--port", "70000"], "port 70000"),
        (["--osc", "-1"], "port -1"),
        (["--knob", "nothing", "--port", "0"], "no knob 'nothing'"),
        (["--host", "nowhere.invalid"], "cannot listen at nowhere.invalid"),
        (["--prompt", " ", "--port", "0"], "the prompt is empty"),
        (["--seed", "-1", "--port", "0"], "seed -1"),
        (["--out", "/dev/null/takes"], "cannot write to /dev/null/takes"),
    ],
)
def test_mistakes_are_one_line(run, tiny, served, arguments, message):
    outcome = run("studio", "--no-browser", *arguments, *tiny())
    assert outcome.code == 2
    assert message in outcome.err and outcome.err.count("\n") == 1
    assert not served


def test_a_port_in_use_is_named(run, tiny, served):
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        outcome = run("studio", "--no-browser", "--port", port, *tiny())
    assert outcome.code == 2 and f"127.0.0.1:{port}" in outcome.err and "--port 0" in outcome.err


def failing(*_):
    raise RuntimeError("planted")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("which", ["session", "server", "first save"])
def test_takes_are_saved_after_a_failure(run, tiny, monkeypatch, tmp_path, which):
    sessions, new_session = [], _playing.new_session
    monkeypatch.setattr(
        _playing, "new_session", lambda *given: sessions.append(new_session(*given)) or sessions[0]
    )

    def serve(app, bound, ready):
        (session,) = sessions
        player = Player(session)
        for number in (1, 2):
            session.command(commands.Play()).result(TIMEOUT)
            start = session.snapshot().result(TIMEOUT).start
            player.until(
                lambda one, start=start: one.blocks and one.blocks[-1].stop > start + 16_000
            )
            if number == 1:
                session.command(commands.Stop()).result(TIMEOUT)
        if which == "session":
            monkeypatch.setattr(Transport, "advance", failing)
            player.until(lambda one: session.state.status == "ended")
        elif which == "server":
            raise TonearmError("the server failed")
        raise KeyboardInterrupt

    def save(self, number, folder):
        if number == 1:
            raise MemoryError("no memory for the audio")
        return original(self, number, folder)

    monkeypatch.setattr(serving, "serve", serve)
    if which == "first save":
        original = Session.save
        monkeypatch.setattr(Session, "save", save)
    outcome = run(
        "studio", "--no-browser", "--port", 0, "--mode", "live", "--out", "takes", *tiny()
    )
    saved = sorted(path.name for path in tmp_path.glob("takes/*"))
    assert "saving takes that were not exported to takes" in outcome.out
    if which == "first save":
        assert saved == ["take-2.zip"]
        assert outcome.err == "tonearm: take 1 was not saved: no memory for the audio\n"
    else:
        assert saved == ["take-1.zip", "take-2.zip"]
    assert outcome.code == (0 if which == "session" else 2)


def test_a_second_request_to_end_leaves_no_take_out(run, tiny, monkeypatch, tmp_path):
    """A terminal that is closed sends SIGHUP twice."""
    sessions, new_session, save = [], _playing.new_session, Session.save
    monkeypatch.setattr(
        _playing, "new_session", lambda *given: sessions.append(new_session(*given)) or sessions[0]
    )

    def serve(app, bound, ready):
        (session,) = sessions
        player = Player(session)
        session.command(commands.Play()).result(TIMEOUT)
        player.until_samples(16_000)
        signal.raise_signal(signal.SIGHUP)

    def hang_up_again(self, number, folder):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        return save(self, number, folder)

    monkeypatch.setattr(serving, "serve", serve)
    monkeypatch.setattr(Session, "save", hang_up_again)
    (tmp_path / "takes").mkdir()
    (tmp_path / "takes" / "take-1.zip").write_bytes(b"of an earlier session")
    outcome = run(
        "studio", "--no-browser", "--port", 0, "--mode", "live", "--out", "takes", *tiny()
    )
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "takes" / "take-1.zip").read_bytes() == b"of an earlier session"
    assert zipfile.is_zipfile(tmp_path / "takes" / "take-1-1.zip")


def assert_answers(url, content):
    """Post content; a refusal is shown with its reason."""
    try:
        urllib.request.urlopen(url, content, timeout=TIMEOUT).close()
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read()) from None


@pytest.mark.parametrize(
    ("end_by", "options"),
    [
        (signal.SIGINT, []),
        pytest.param(signal.SIGTERM, ["--out", "takes"], marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, ["--out", "takes"], marks=pytest.mark.slow),
    ],
)
def test_the_take_that_plays_at_the_end_is_saved(tiny, tmp_path, end_by, options):
    """In a process of its own, which ends by a signal."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from tonearm.cli import main; raise SystemExit(main())"
    arguments = ["studio", "--no-browser", "--port", port, "--mode", "live", *options, *tiny()]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        end = time.monotonic() + TIMEOUT
        while "press Ctrl-C to stop" not in process.stdout.readline():
            assert time.monotonic() < end and process.poll() is None
        url = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{url}/manifest", timeout=TIMEOUT) as answer:
            assert b'"schema_version":1' in answer.read()
        tone = Clip(0.3 * np.sin(np.arange(16_000) / 10).astype(np.float32), 16_000)
        upload = f"{url}/uploads/continue_from"  # which starts to play
        assert_answers(upload, tone.encoded(".wav"))
        time.sleep(1)  # of music
        process.send_signal(end_by)
        rest, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    (saved,) = tmp_path.glob("takes/*" if options else "tonearm-studio-*/*")
    assert saved.name == "take-1.zip" and f"{saved.parent.name}/take-1.zip" in rest
    assert "steered.json" in zipfile.ZipFile(saved).namelist()
