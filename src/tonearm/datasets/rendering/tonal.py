"""Four seconds of chords on one program, as SynTheory renders notes, chords and progressions.

Conventions: four chords of 1 s, which are two beats at 120 BPM; velocity 64; MIDI keys. The tonic is
from F#3 to F4, so that middle C lies in the centre.

Source: Wei et al. 2024; https://github.com/brown-palm/syntheory, dataset/synthetic.
"""

from collections.abc import Sequence

import numpy as np

from tonearm.datasets.rendering.compose import FRAME_RATE, LEAD, Note
from tonearm.datasets.rendering.synthesizer import Renderer

SAMPLE_RATE = 32_000  # of MusicGen's codec
CHORDS = 4
VELOCITY = 64
GAIN = 4.0  # one instrument at this velocity is some 12 dB below music
MIDDLE_C = 60
PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def tonic_key(pitch_class: int) -> int:
    """Return the MIDI key of a pitch class that is nearest to middle C, F# below it."""
    return MIDDLE_C + pitch_class - 12 * (pitch_class > 5)


def play_chords(renderer: Renderer, chords: Sequence[Sequence[int]], program: int) -> np.ndarray:
    """Render chords of 1 s each.

    Args:
        renderer: the synthesizer.
        chords: MIDI keys of each.
        program: of General MIDI.

    Returns:
        Mono float32 [len(chords) * sample rate].
    """
    notes = [
        Note(FRAME_RATE * place, FRAME_RATE, LEAD, key, VELOCITY)
        for place, keys in enumerate(chords)
        for key in keys
    ]
    return GAIN * renderer.play(notes, {LEAD: program}, FRAME_RATE * len(chords))
