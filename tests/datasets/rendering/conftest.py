"""A stand-in for FluidSynth: sine waves, so that the corpora are tested without it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tonearm.datasets.rendering import corpus
from tonearm.datasets.rendering.compose import FRAME_RATE, Note, Piece

LOWEST_KEY = 12  # lower ones are silent, as in a sound font


class SineRenderer:
    """Plays a sine for each note. Its samples depend on the number of clips before, like FluidSynth's.

    `made` counts the synthesizers.
    """

    made = 0

    def __init__(self, sound_font: Path, sample_rate: int, lazy: bool = False) -> None:
        type(self).made += 1
        self.sample_rate = sample_rate
        self.played = 0

    def __enter__(self) -> "SineRenderer":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def render(self, piece: Piece) -> np.ndarray:
        return self.play(piece.notes[:20], piece.programs, 256)

    def play(
        self, notes: Sequence[Note], programs: dict[int, int], frames: int, kit: int = 0
    ) -> np.ndarray:
        self.played += 1
        audio = np.zeros(round(frames * self.sample_rate / FRAME_RATE))
        for note in notes:
            if note.key >= LOWEST_KEY:
                start = round(note.frame * self.sample_rate / FRAME_RATE)
                end = min(len(audio), start + round(note.length * self.sample_rate / FRAME_RATE))
                time = np.arange(max(0, end - start)) / self.sample_rate
                hertz = 440 * 2 ** ((note.key - 69) / 12)
                audio[start:end] += 0.01 * np.sin(2 * np.pi * hertz * time)
        return (audio * (1 + self.played / 1000)).astype(np.float32)


@pytest.fixture
def sines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Renders by `SineRenderer`; the path of a file that passes for a sound font."""
    font = tmp_path / "tiny.sf2"
    font.write_bytes(b"RIFF\0\0\0\0sfbk")
    monkeypatch.setattr(corpus, "Renderer", SineRenderer)
    monkeypatch.setattr(corpus, "load_fluidsynth", lambda: None)
    monkeypatch.setattr(SineRenderer, "made", 0)
    return font
