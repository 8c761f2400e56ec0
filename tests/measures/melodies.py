"""Rendered melodies with known notes."""

import numpy as np

from tests.measures.sounds import SAMPLE_RATE
from tonearm.audio import Clip

NOTE_SECONDS = 0.5
MELODY = (60, 64, 67, 72, 71, 67, 65, 62, 64, 60, 67, 69)  # MIDI numbers
FLUTE, STRING = 1, 6  # harmonics of two timbres


def rendered(
    pitches: tuple[int | None, ...], harmonics: int = FLUTE, seconds: float = NOTE_SECONDS
) -> Clip:
    """One note after the other, each with some harmonics; None is a rest."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.minimum(1, np.minimum(time, time[::-1]) / 0.02)

    def note(pitch: int | None) -> np.ndarray:
        if pitch is None:
            return np.zeros(len(time))
        hz = 440 * 2 ** ((pitch - 69) / 12)
        waves = (np.sin(2 * np.pi * k * hz * time) / k**2 for k in range(1, harmonics + 1))
        return 0.2 * envelope * sum(waves)

    return Clip(np.concatenate([note(pitch) for pitch in pitches]), SAMPLE_RATE)


def transposed(pitches: tuple[int, ...], semitones: int) -> tuple[int, ...]:
    return tuple(pitch + semitones for pitch in pitches)
