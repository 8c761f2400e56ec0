"""Small material of listening tests, and a browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.listening import Design, Made, make_test, read_material

RATE = 16_000
CONDITIONS = {"plain": 0.1, "fast": 0.3, "random": 0.02}  # and their gains
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
    "--no-first-run",
)


def noise(gain: float, seed: int, seconds: float = 1.0) -> Clip:
    samples = np.random.default_rng(seed).uniform(-gain, gain, int(seconds * RATE))
    return Clip(samples.astype(np.float32), RATE)


def write_takes(folder: Path, items: int = 4) -> Path:
    """A folder per condition, with a file per item."""
    for number, (condition, gain) in enumerate(CONDITIONS.items()):
        for item in range(items):
            noise(gain, 10 * number + item).write(folder / condition / f"song-{item}.wav")
    return folder


@pytest.fixture
def takes(tmp_path: Path) -> Path:
    return write_takes(tmp_path / "takes")


Make = Callable[..., Made]


@pytest.fixture
def make(takes: Path, tmp_path: Path) -> Make:
    """Make a test of a kind in a folder of its name."""

    def make(kind: str, **fields: Any) -> Made:
        if kind == "2afc":
            fields.setdefault("question", "Which is louder?")
        return make_test(read_material([takes]), Design(kind, seed=3, **fields), tmp_path / kind)

    return make


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium; tests that need one are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium found")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield launched
        launched.close()
