"""Recipe `notes`: 12 pitch classes in 9 octaves on 92 programs, 9,936 clips of 4 s."""

from collections.abc import Iterator

import numpy as np

from tonearm.datasets.rendering.balanced import balanced_subset
from tonearm.datasets.rendering.general_midi import PITCHED, program_columns
from tonearm.datasets.rendering.recipe import PlannedClip, Recipe
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.datasets.rendering.tonal import CHORDS, PITCH_CLASSES, SAMPLE_RATE, play_chords

OCTAVES = 9  # from MIDI key 0; octave 5 begins at middle C
SIZES = (len(PITCH_CLASSES), OCTAVES, len(PITCHED))


def _plan(count: int, seed: int) -> Iterator[PlannedClip]:
    return (
        _note(pitch_class, octave, PITCHED[index])
        for pitch_class, octave, index in balanced_subset(SIZES, count, seed).tolist()
    )


def _note(pitch_class: int, octave: int, program: int) -> PlannedClip:
    key = 12 * octave + pitch_class

    def render(renderer: Renderer) -> np.ndarray:
        return play_chords(renderer, [(key,)] * CHORDS, program)

    stem = f"key-{key:03d}-program-{program:03d}"
    columns = {
        "root_note_name": PITCH_CLASSES[pitch_class],
        "root_note_pitch_class": pitch_class,
        "octave": octave,
        "midi_note_val": key,
        **program_columns(program),
    }
    return PlannedClip(stem, stem, columns, render)


RECIPE = Recipe(
    name="notes",
    summary="one note: pitch class, octave, program",
    sample_rate=SAMPLE_RATE,
    sizes=SIZES,
    plan=_plan,
)
