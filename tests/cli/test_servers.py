"""Commands that serve for hours."""

import pytest

from tonearm import process_memory
from tonearm.errors import TonearmError
from tonearm.terminal import play as playing

PACKAGES = {"harp": "gradio", "mcp": "mcp"}  # of their extras


@pytest.mark.parametrize("command", ["harp", "live", "mcp", "studio"])
def test_memory_is_limited_before_a_model_is_loaded(run, monkeypatch, command):
    if command in PACKAGES:
        pytest.importorskip(PACKAGES[command], reason=f"the extra {command} is absent")

    def end():
        raise TonearmError("the memory is limited")

    monkeypatch.setattr(process_memory, "limit_memory", end)
    monkeypatch.setattr(playing, "check_terminal", lambda: None)
    outcome = run(command, "--model", "nowhere/nothing")
    assert outcome.code == 2
    assert "the memory is limited" in outcome.err
