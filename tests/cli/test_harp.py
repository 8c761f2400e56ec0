"""tonearm harp: its arguments and the address that it prints."""

import re
import sys

import pytest

from tonearm.studio import serve as serving


@pytest.fixture
def served(monkeypatch):
    """Serving that ends at once; the applications that were served."""
    pytest.importorskip("gradio", reason="the extra harp is absent")
    apps = []

    def end_at_once(app, bound, ready):
        apps.append(app)
        ready()
        raise KeyboardInterrupt

    monkeypatch.setattr(serving, "serve", end_at_once)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    return apps


def test_it_prints_the_address_for_harp(run, tiny, served, tmp_path):
    outcome = run("harp", "--port", 0, "--out", tmp_path / "takes", *tiny())
    assert outcome.code == 0, outcome.err
    assert re.search(r"open http://127\.0\.0\.1:\d+/ in HARP", outcome.out)
    assert len(served) == 1 and not (tmp_path / "takes").exists()


def test_another_host_has_a_token(run, tiny, served):
    outcome = run("harp", "--host", "0.0.0.0", "--port", 0, *tiny())
    assert outcome.code == 0, outcome.err
    assert re.search(r"open http://127\.0\.0\.1:\d+/[\w-]{32} in HARP", outcome.out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "port 70000"),
        (["--knob", "nothing", "--port", "0"], "no knob 'nothing'"),
        (["--host", "nowhere.invalid"], "cannot listen at nowhere.invalid"),
    ],
)
def test_mistakes_are_one_line(run, tiny, served, arguments, message):
    outcome = run("harp", *arguments, *tiny())
    assert outcome.code == 2
    assert message in outcome.err and outcome.err.count("\n") == 1
    assert not served


def test_without_gradio_the_command_to_install_it_is_named(run, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    outcome = run("harp", *tiny())
    assert outcome.code == 2 and outcome.err.count("\n") == 1
    assert "pip install 'tonearm[harp]'" in outcome.err
