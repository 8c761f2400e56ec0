"""Small material of listening tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.listening import Design, ListeningTestFiles, make_test, read_material

RATE = 16_000
CONDITIONS = {"plain": 0.1, "fast": 0.3, "random": 0.02}  # and their gains


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


Make = Callable[..., ListeningTestFiles]


@pytest.fixture
def make(takes: Path, tmp_path: Path) -> Make:
    """Make a test of a kind in a folder of its name."""

    def make(kind: str, **fields: Any) -> ListeningTestFiles:
        if kind == "2afc":
            fields.setdefault("question", "Which is louder?")
        return make_test(read_material([takes]), Design(kind, seed=3, **fields), tmp_path / kind)

    return make
