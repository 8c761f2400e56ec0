"""Rhythms and instruments of the genres of pocket's corpus.

Slots are the eight eighth notes of a bar. Programs are General MIDI programs, 0-based.
"""

from dataclasses import dataclass

KICK, RIM, SNARE, CLAP, HAT, OPEN_HAT, RIDE, PEDAL_HAT = 36, 37, 38, 39, 42, 46, 51, 44
TAMBOURINE, COWBELL, SHAKER, CLAVE, CONGA_HIGH, CONGA_LOW = 54, 56, 70, 75, 63, 64
LOW_TOM, HIGH_TOM = 45, 48
PULSE_SOUNDS = (HAT, SHAKER, RIDE)

ALL = tuple(range(8))
BEATS, OFF_BEATS = (0, 2, 4, 6), (1, 3, 5, 7)


@dataclass(frozen=True)
class Style:
    """Patterns and programs of a genre; a piece draws one entry of each field."""

    drums: tuple[dict[int, tuple[int, ...]], ...]  # sound -> slots
    bass: tuple[int, ...]  # programs
    bass_slots: tuple[tuple[int, ...], ...]
    chords: tuple[int, ...]  # programs
    chord_slots: tuple[tuple[int, ...], ...]
    chord_length: float  # beats
    swing: bool = False
    # sounds of the last two beats of a phrase
    fill: tuple[int, ...] = (SNARE, SNARE, HIGH_TOM, LOW_TOM)


STYLES = {
    "rock": Style(
        drums=(
            {KICK: (0, 4, 5), SNARE: (2, 6), HAT: ALL},
            {KICK: (0, 3, 4), SNARE: (2, 6), HAT: BEATS},
            {KICK: (0, 4), SNARE: (2, 6), OPEN_HAT: BEATS},
        ),
        bass=(33, 34), bass_slots=(ALL, (0, 1, 4, 5)), chords=(29, 30),
        chord_slots=((0, 4), (0, 3, 4), BEATS), chord_length=1.8,
    ),
    "jazz": Style(
        drums=(
            {RIDE: (0, 2, 3, 4, 6, 7), PEDAL_HAT: (2, 6), KICK: (0,)},
            {RIDE: (0, 2, 3, 4, 6, 7), PEDAL_HAT: (2, 6), RIM: (6,)},
        ),
        bass=(32,), bass_slots=(BEATS,), chords=(26,), chord_slots=((1, 4), (0, 3), (3, 7)),
        chord_length=0.5, swing=True,
        fill=(SNARE, RIM, SNARE, KICK),
    ),
    "folk": Style(
        drums=({TAMBOURINE: (2, 6)}, {SHAKER: ALL, KICK: (0, 4)}, {}),
        bass=(32,), bass_slots=((0, 4), BEATS), chords=(24,),
        chord_slots=((0, 2, 3, 4, 6, 7), (0, 2, 3, 5, 6, 7), ALL), chord_length=0.9,
        fill=(TAMBOURINE,) * 4,
    ),
    "electronic": Style(
        drums=(
            {KICK: BEATS, CLAP: (2, 6), OPEN_HAT: OFF_BEATS},
            {KICK: BEATS, HAT: ALL, CLAP: (2, 6)},
            {KICK: BEATS, OPEN_HAT: OFF_BEATS, SHAKER: ALL},
        ),
        bass=(38,), bass_slots=(OFF_BEATS, ALL), chords=(81, 90),
        chord_slots=((0, 3, 6), (0,), OFF_BEATS), chord_length=0.7,
        fill=(CLAP, CLAP, CLAP, CLAP),
    ),
    "classical": Style(
        drums=({},), bass=(43,), bass_slots=((0, 4), BEATS), chords=(48,),
        chord_slots=(BEATS, (0, 4), ALL), chord_length=0.8, fill=(),
    ),
    "hip hop": Style(
        drums=(
            {KICK: (0, 3, 5), SNARE: (2, 6), HAT: ALL},
            {KICK: (0, 5), CLAP: (2, 6), HAT: ALL},
            {KICK: (0, 1, 5), SNARE: (2, 6), HAT: BEATS},
        ),
        bass=(39,), bass_slots=((0, 3, 5), (0, 5)), chords=(4,), chord_slots=((0,), (0, 5)),
        chord_length=3.5, fill=(SNARE, HAT, SNARE, HAT),
    ),
    "latin": Style(
        drums=(
            {CLAVE: (0, 3, 6), CONGA_HIGH: (2, 5), CONGA_LOW: (6, 7), SHAKER: ALL},
            {CLAVE: (0, 3, 6), COWBELL: BEATS, CONGA_LOW: (6, 7)},
        ),
        bass=(32,), bass_slots=((0, 3, 6), (0, 3, 4, 7)), chords=(24,),
        chord_slots=((0, 1, 3, 4, 6), (1, 3, 4, 6)), chord_length=0.45,
        fill=(CONGA_HIGH, CONGA_HIGH, CONGA_LOW, CONGA_LOW),
    ),
    "reggae": Style(
        drums=({KICK: (4,), RIM: (4,), HAT: ALL}, {KICK: BEATS, RIM: (4,), HAT: BEATS}),
        bass=(33,), bass_slots=((0, 3, 4), (0, 2, 3, 6)), chords=(27,),
        chord_slots=((2, 6), (1, 3, 5, 7)), chord_length=0.25,
        fill=(RIM, RIM, HIGH_TOM, LOW_TOM),
    ),
    "funk": Style(
        drums=(
            {KICK: (0, 3, 7), SNARE: (2, 6), HAT: ALL, TAMBOURINE: OFF_BEATS},
            {KICK: (0, 1, 5), SNARE: (2, 6), HAT: ALL, COWBELL: (0, 4)},
        ),
        bass=(36, 37), bass_slots=((0, 1, 3, 6, 7), (0, 3, 5, 6)), chords=(61,),
        chord_slots=((3, 7), (1, 6), (3, 4, 7)), chord_length=0.3,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Lead:
    program: int
    octave: int  # keys above the melody as written


LEADS = {
    "piano": Lead(0, 12),
    "guitar": Lead(25, 0),
    "flute": Lead(73, 12),
    "violin": Lead(40, 12),
    "trumpet": Lead(56, 0),
    "saxophone": Lead(65, 0),
    "organ": Lead(19, 0),
    "synth": Lead(80, 12),
    "cello": Lead(42, -12),
    "marimba": Lead(12, 12),
    "harmonica": Lead(22, 12),
    "bells": Lead(9, 12),
}
