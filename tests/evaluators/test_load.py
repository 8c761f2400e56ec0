"""Evaluators by name: known names, paths, and no network for a mistyped path."""

import logging
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
import transformers

from tonearm.errors import TonearmError
from tonearm.evaluators import beat_this
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.evaluators.load import load_clap, load_tracker

MISTYPED = [
    "finalO",
    "final3",
    "final0 ",
    "final0.ckpt",
    "../final0",
    "a?b=c",
    "final0#x",
    "x" * 200,
    "checkpoints/beats",
    "",
]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: object, **options: object) -> NoReturn:
        pytest.fail(f"the network was used: {args} {options}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", refuse)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", MISTYPED)
def test_a_mistyped_tracker_is_refused_without_network(name: str) -> None:
    pytest.importorskip("beat_this")
    with pytest.raises(TonearmError, match=r"no Beat This! checkpoint at|empty path") as error:
        load_tracker(name)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize(
    "name",
    [*MISTYPED[:-2], "models/clop", "models/clop/x", "./clap", "~/clap", "a/b?c", "a//b", "/a/b"],
)
def test_a_mistyped_clap_is_refused_without_network(tmp_path: Path, name: str) -> None:
    (tmp_path / "models" / "clap").mkdir(parents=True)
    with pytest.raises(TonearmError, match="no CLAP checkpoint at") as error:
        load_clap(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", [None, 3, b"final0", ["final0"]])
def test_names_and_devices_of_other_types_are_refused(name: Any) -> None:
    for load in (load_tracker, load_clap):
        with pytest.raises(TonearmError, match="give a path"):
            load(name)
        with pytest.raises(TonearmError, match="device"):
            load("bundled", device=name)
    with pytest.raises(TonearmError, match="device 'meta' is not available"):
        load_clap("bundled", device="meta")


def test_a_file_with_the_name_of_a_tracker_is_used_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("librosa", "final0"):
        (tmp_path / name).write_text("not a checkpoint")
    assert isinstance(load_tracker("librosa"), LibrosaTracker)
    loaded = []
    monkeypatch.setattr(
        beat_this, "_load_model", lambda checkpoint, device: loaded.append(checkpoint)
    )
    load_tracker("final0")
    assert loaded == ["final0"]
    assert [record.getMessage() for record in caplog.records] == [
        "'librosa' is the built-in beat tracker; for 'librosa', which has the same name, "
        "write ./librosa",
        "'final0' is the published beat tracker; for 'final0', which has the same name, "
        "write ./final0",
    ]
    monkeypatch.undo()
    pytest.importorskip("beat_this")
    with pytest.raises(TonearmError, match="cannot read"):
        load_tracker(str(tmp_path / "final0"))


def test_a_folder_called_bundled_is_used_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bundled").mkdir()
    monkeypatch.setattr("tonearm.evaluators.load.ClapEvaluator", lambda name, device: name)
    monkeypatch.setattr(
        "tonearm.evaluators.load.BeatThisTracker", lambda file, *rest, **options: file
    )
    with caplog.at_level(logging.WARNING):
        load_clap("bundled")
        load_tracker("bundled")
    assert ["bundled CLAP" in caplog.text, "bundled beat tracker" in caplog.text] == [True, True]
