"""Recipe `chords`: 12 roots, 4 qualities and 3 inversions on 92 programs, 13,248 clips of 4 s.

Inversions are named by figured bass: 5 (root position), 6 and 64. The roots of all qualities have
one range, unlike those of SynTheory, whose augmented triads lie higher.
"""

from collections.abc import Iterator

import numpy as np

from tonearm.datasets.rendering.balanced import balanced_subset
from tonearm.datasets.rendering.general_midi import PITCHED, program_columns
from tonearm.datasets.rendering.recipe import PlannedClip, Recipe
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.datasets.rendering.tonal import (
    CHORDS,
    PITCH_CLASSES,
    SAMPLE_RATE,
    play_chords,
    tonic_key,
)

QUALITIES = {"major": (0, 4, 7), "minor": (0, 3, 7), "aug": (0, 4, 8), "dim": (0, 3, 6)}
INVERSIONS = {"5": 0, "6": 1, "64": 2}  # notes from the bottom that move up an octave
SIZES = (len(PITCH_CLASSES), len(QUALITIES), len(INVERSIONS), len(PITCHED))


def chord_keys(root: int, quality: str, inversion: str) -> tuple[int, ...]:
    """Return the MIDI keys of a triad from the bottom.

    Args:
        root: pitch class.
        quality: of QUALITIES.
        inversion: of INVERSIONS.
    """
    keys = [tonic_key(root) + step for step in QUALITIES[quality]]
    raised = INVERSIONS[inversion]
    return (*keys[raised:], *(key + 12 for key in keys[:raised]))


def _plan(count: int, seed: int) -> Iterator[PlannedClip]:
    qualities, inversions = tuple(QUALITIES), tuple(INVERSIONS)
    return (
        _chord(root, qualities[quality], inversions[inversion], PITCHED[index])
        for root, quality, inversion, index in balanced_subset(SIZES, count, seed).tolist()
    )


def _chord(root: int, quality: str, inversion: str, program: int) -> PlannedClip:
    def render(renderer: Renderer) -> np.ndarray:
        return play_chords(renderer, [chord_keys(root, quality, inversion)] * CHORDS, program)

    stem = f"root-{root:02d}-{quality}-{inversion}-program-{program:03d}"
    columns = {
        "root_note_name": PITCH_CLASSES[root],
        "root_note_pitch_class": root,
        "chord_type": quality,
        "inversion": inversion,
        **program_columns(program),
    }
    return PlannedClip(stem, stem, columns, render)


RECIPE = Recipe(
    name="chords",
    summary="one triad: root, quality, inversion, program",
    sample_rate=SAMPLE_RATE,
    sizes=SIZES,
    plan=_plan,
)
