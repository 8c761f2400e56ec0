"""Recipe `progressions`: 19 progressions in 12 keys on 92 programs, 20,976 clips of 4 s.

The progressions are those of SynTheory. A chord has the tones of its scale degree within the octave
above the tonic, so that voices move little.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from tonearm.datasets.rendering.balanced import balanced_subset
from tonearm.datasets.rendering.general_midi import PITCHED, program_columns
from tonearm.datasets.rendering.recipe import PlannedClip, Recipe
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.datasets.rendering.tonal import PITCH_CLASSES, SAMPLE_RATE, play_chords, tonic_key

SCALES = {"ionian": (0, 2, 4, 5, 7, 9, 11), "aeolian": (0, 2, 3, 5, 7, 8, 10)}
PROGRESSIONS = (  # mode, scale degrees
    ("ionian", (1, 4, 5, 1)), ("ionian", (1, 4, 6, 5)), ("ionian", (1, 5, 6, 4)),
    ("ionian", (1, 6, 4, 5)), ("ionian", (2, 5, 1, 6)), ("ionian", (4, 1, 5, 6)),
    ("ionian", (4, 5, 3, 6)), ("ionian", (5, 4, 1, 5)), ("ionian", (5, 6, 4, 1)),
    ("ionian", (6, 4, 1, 5)),
    ("aeolian", (1, 2, 5, 1)), ("aeolian", (1, 3, 4, 1)), ("aeolian", (1, 4, 5, 1)),
    ("aeolian", (1, 6, 3, 7)), ("aeolian", (1, 6, 7, 1)), ("aeolian", (1, 6, 7, 3)),
    ("aeolian", (1, 7, 6, 4)), ("aeolian", (4, 7, 1, 1)), ("aeolian", (7, 6, 7, 1)),
)  # fmt: skip
SIZES = (len(PITCH_CLASSES), len(PROGRESSIONS), len(PITCHED))


def progression_keys(tonic: int, mode: str, degrees: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the MIDI keys of each chord.

    Args:
        tonic: pitch class.
        mode: of SCALES.
        degrees: of the scale, from 1.
    """
    scale = SCALES[mode]
    return [
        tuple(tonic_key(tonic) + scale[(degree - 1 + third) % 7] for third in (0, 2, 4))
        for degree in degrees
    ]


def _plan(count: int, seed: int) -> Iterator[PlannedClip]:
    return (
        _progression(tonic, *PROGRESSIONS[number], PITCHED[index])
        for tonic, number, index in balanced_subset(SIZES, count, seed).tolist()
    )


def _progression(tonic: int, mode: str, degrees: tuple[int, ...], program: int) -> PlannedClip:
    def render(renderer: Renderer) -> np.ndarray:
        return play_chords(renderer, progression_keys(tonic, mode, degrees), program)

    stem = f"key-{tonic:02d}-{mode}-{'-'.join(map(str, degrees))}-program-{program:03d}"
    columns = {
        "key_note_name": PITCH_CLASSES[tonic],
        "key_note_pitch_class": tonic,
        "mode": mode,
        "chord_progression": f"{mode}-{degrees}",
        **program_columns(program),
    }
    return PlannedClip(stem, stem, columns, render)


RECIPE = Recipe(
    name="progressions",
    summary="four chords: key, mode, progression, program",
    sample_rate=SAMPLE_RATE,
    sizes=SIZES,
    plan=_plan,
)
