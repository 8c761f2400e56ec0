"""A panel and a generator of a tiny model with one knob, `brightness`."""

import numpy as np
import pytest

from tests.knobs.planted import knob_of
from tonearm.audio import Clip
from tonearm.harp.generator import TakeGenerator
from tonearm.harp.panel import Panel
from tonearm.live import manifest_of


@pytest.fixture
def panel(melody) -> Panel:
    melody.vectors["brightness"] = knob_of(melody)
    return Panel(manifest_of(melody))


@pytest.fixture
def generator(melody, panel, tmp_path) -> TakeGenerator:
    return TakeGenerator(melody, panel.knobs, tmp_path / "takes")


@pytest.fixture
def selection() -> Clip:
    """A second of stereo at a sample rate that is not the model's."""
    time = np.arange(44_100) / 44_100
    tones = [np.sin(2 * np.pi * hertz * time) for hertz in (220, 330)]
    return Clip(0.3 * np.stack(tones).astype(np.float32), 44_100)
