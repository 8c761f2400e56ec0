"""Shared fixtures: one tiny random checkpoint per variant, saved and loaded once per run; a browser."""

import copy
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import torch
from threadpoolctl import threadpool_limits

from tests import checkpoints
from tests.browsers import ABSENT, FLAGS, find_chromium
from tonearm.model import Model
from tonearm.musicgen.checkpoint import load_checkpoint
from tonearm.musicgen.decoder import Decoder
from tonearm.steering.library import VectorLibrary

torch.set_num_threads(1)
threadpool_limits(1)  # small products are several times as slow on two threads
# A property that holds must not fail on a busy machine.
hypothesis.settings.register_profile("without deadlines", deadline=None)
hypothesis.settings.load_profile("without deadlines")


@pytest.fixture(autouse=True)
def messages_reach_caplog(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line stops them at its own handler, for the rest of the process."""
    monkeypatch.setattr(logging.getLogger("tonearm"), "propagate", True)


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Variant name -> folder of its tiny checkpoint."""
    saved: dict[str, Path] = {}

    def folder(variant: str) -> Path:
        if variant not in saved:
            saved[variant] = checkpoints.save(
                checkpoints.VARIANTS[variant], tmp_path_factory.mktemp(variant)
            )
        return saved[variant]

    return folder


@pytest.fixture(scope="session")
def loaded_model(folder_of: Callable[[str], Path]) -> Callable[[str], Model]:
    """Variant name -> the loaded tiny model, shared by all tests, which must not change it."""
    loaded: dict[str, Model] = {}

    def model(variant: str) -> Model:
        if variant not in loaded:
            loaded[variant] = Model(load_checkpoint(str(folder_of(variant)), "cpu"))
        return loaded[variant]

    return model


@pytest.fixture
def model_of(loaded_model: Callable[[str], Model]) -> Callable[[str], Model]:
    """Variant name -> the tiny model with a vector library of its own for each test."""
    own: dict[str, Model] = {}

    def model(variant: str) -> Model:
        if variant not in own:
            own[variant] = copy.copy(loaded_model(variant))
            own[variant].vectors = VectorLibrary(own[variant].shape)
        return own[variant]

    return model


@pytest.fixture
def melody(model_of: Callable[[str], Model]) -> Model:
    return model_of("melody")


@pytest.fixture
def small(model_of: Callable[[str], Model]) -> Model:
    return model_of("small")


@pytest.fixture
def allocated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Positions for which caches are allocated, one entry per window."""
    positions: list[int] = []
    real = Decoder.begin

    def begin(decoder: Decoder, conditioning: Any, count: int, *others: Any) -> Any:
        positions.append(count)
        return real(decoder, conditioning, count, *others)

    monkeypatch.setattr(Decoder, "begin", begin)
    return positions


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; tests that need one are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = find_chromium()
    if path is None:
        pytest.skip(ABSENT)
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=path, args=list(FLAGS))
        yield launched
        launched.close()
