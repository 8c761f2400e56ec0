"""Confirmation of the beat on rendered music, and on audio without a beat. FluidSynth is needed."""

import numpy as np
import pytest

pytest.importorskip("fluidsynth")
pytest.importorskip("beat_this.model.beat_tracker")

from recipes.evaluators.confirmation import (
    FASTEST,
    SLOWEST,
    Reading,
    plant,
    read,
    share_right,
    stretch_ratios,
)

from tonearm.datasets.rendering.synthesizer import find_sound_font
from tonearm.errors import TonearmError
from tonearm.evaluators.load import load_tracker

CLIPS, FIRST = 6, 900
KINDS = ("performances", "pieces")  # whose metrical level is defined by all their parts


@pytest.fixture(scope="module")
def readings() -> list[Reading]:
    try:
        find_sound_font()
    except TonearmError as error:
        pytest.skip(str(error))
    tracker = load_tracker("bundled")
    return [read(planted, tracker) for planted in plant(CLIPS, FIRST, decode=False)]


def test_audio_without_a_beat_has_no_tempo(readings: list[Reading]) -> None:
    beatless = [one for one in readings if one.planted.bpm is None]
    assert np.mean([one.confirmed is None for one in beatless]) >= 0.95
    grains = [one for one in beatless if one.planted.group == "shuffled grains"]
    assert np.mean([one.read is not None for one in grains]) > 0.9  # before the confirmation


def test_rendered_pieces_have_their_tempo(readings: list[Reading]) -> None:
    music = [one for one in readings if one.planted.bpm and one.planted.name.startswith(KINDS)]
    assert share_right(music, confirmed=True, any_octave=True) >= 0.9  # of about 36
    kept = [one for one in readings if one.planted.bpm and one.confirmed is not None]
    assert share_right(kept, confirmed=True, any_octave=True) >= 0.95


def test_scaled_pieces_are_read_apart(readings: list[Reading]) -> None:
    apart = FASTEST / SLOWEST - 1
    assert np.median(stretch_ratios(readings)) - 1 == pytest.approx(apart, abs=0.05)
