"""Scores of pocket's corpus, performed more freely or as composed.

pocket's corpus has twelve tempos, one program per lead instrument, and no reverberation. Evaluators
trained on it alone would take these properties for properties of music.
"""

from dataclasses import replace

import numpy as np

from recipes.evaluators.scores import Score
from tonearm.datasets.rendering.compose import FRAME_RATE, PROGRESSIONS, Note, Piece, compose

# BPM; tempos between these ranges have no word
SLOW_BELOW, MEDIUM, FAST_FROM = (87.0, (92.0, 127.0), 136.0)
STRETCH = (0.85, 1.18)
SIBLINGS = {  # General MIDI programs of one instrument name
    "piano": (0, 1, 2), "guitar": (24, 25, 26), "flute": (73, 72), "violin": (40, 40, 110),
    "trumpet": (56, 59), "saxophone": (64, 65, 66), "organ": (16, 17, 19),
    "synth": (80, 81, 87), "cello": (42,), "marimba": (12, 13),
    "harmonica": (22,), "bells": (9, 10, 14),
}  # fmt: skip
KITS = (0, 8, 16, 32)
UNSEEN_PROGRESSIONS = {  # of held-out pieces; none of them is in PROGRESSIONS
    "major": ((0, 5, 1, 4), (0, 2, 3, 4), (3, 4, 0, 5), (0, 4, 3, 3)),
    "minor": ((0, 2, 6, 3), (0, 4, 5, 4), (5, 6, 0, 0), (0, 6, 3, 4)),
}


def perform(seed: int, frames: int, held_out: bool = False) -> Score:
    """Perform the piece of a seed with a free tempo, transposition, timing, programs and room.

    Args:
        seed: seed of the piece.
        frames: length in frames of 40 ms.
        held_out: use chord progressions that the corpus does not contain.

    Returns:
        The score with its ground truth.
    """
    rng = np.random.default_rng((seed, 1))
    stretch = 1.0 if rng.random() < 0.4 else float(np.exp(rng.uniform(*np.log(STRETCH))))
    piece = compose(
        seed, UNSEEN_PROGRESSIONS if held_out else PROGRESSIONS, int(np.ceil(frames / stretch))
    )
    transposed = int(rng.integers(-3, 4))
    jitter = 0.0 if rng.random() < 0.5 else rng.uniform(0.05, 0.3)  # frames: 2 to 12 ms

    def move(note: Note) -> Note:
        key = note.key if note.channel == 9 else note.key + transposed
        frame = max(0.0, note.frame * stretch + (rng.normal(0, jitter) if jitter else 0.0))
        return Note(frame, note.length * stretch, note.channel, key, note.velocity)

    programs = dict(piece.programs)
    if rng.random() < 0.5:
        programs[0] = int(rng.choice(SIBLINGS[piece.lead]))
    return replace(
        _as_composed(piece, frames, stretch),
        notes=[move(note) for note in piece.notes],
        programs=programs,
        kit=int(rng.choice(KITS)) if rng.random() < 0.3 else 0,
        room=float(rng.uniform(0.2, 1.2)) if rng.random() < 0.3 else 0.0,
        wet=float(rng.uniform(0.1, 0.5)),
    )


def play_as_composed(seed: int, frames: int, held_out: bool = False) -> Score:
    """Return the piece of a seed as in pocket's corpus.

    All beats start on frames of the codec, as in pocket's takes.

    Args:
        seed: seed of the piece.
        frames: length in frames of 40 ms.
        held_out: use chord progressions that the corpus does not contain.

    Returns:
        The score with its ground truth.
    """
    return _as_composed(
        compose(seed, UNSEEN_PROGRESSIONS if held_out else PROGRESSIONS, frames), frames
    )


def _as_composed(piece: Piece, frames: int, stretch: float = 1.0) -> Score:
    """Return the unmodified notes and programs.

    The ground truth is that of playback `stretch` times as slow, `frames` long.
    """
    beats = np.arange(0, frames, piece.beat_frames * stretch) / FRAME_RATE
    return Score(
        notes=piece.notes,
        programs=piece.programs,
        kit=0,
        beats=beats.tolist(),
        downbeats=beats[::4].tolist(),
        labels=audible_labels(piece, piece.bpm / stretch) | {"seed": piece.seed},
        brightness=piece.brightness,
        dynamics=piece.dynamics,
    )


def audible_labels(piece: Piece, bpm: float) -> dict[str, str | float]:
    """Return the labels that are audible at any level; a label that does not apply is absent.

    Dynamics are a level in pocket's corpus, so energy is derived from density and tempo.
    """
    tempo = tempo_word(bpm)
    labels: dict[str, str | float] = {
        "bpm": round(bpm, 3),
        "genre": piece.genre,
        "lead": piece.lead,
        "mode": piece.mode,
    }
    if tempo:
        labels["tempo"] = tempo
    if piece.brightness != "neutral":
        labels["brightness"] = piece.brightness
    if piece.density != "normal":
        labels["density"] = piece.density
    if piece.density == "dense" and bpm > MEDIUM[0]:
        labels["energy"] = "energetic"
    if piece.density == "sparse" and bpm < MEDIUM[1]:
        labels["energy"] = "calm"
    electric_lead = piece.lead in ("synth", "organ")
    if piece.genre == "electronic" and electric_lead:
        labels["sound"] = "electronic"
    if piece.genre in ("folk", "classical", "jazz") and not electric_lead:
        labels["sound"] = "acoustic"
    return labels


def tempo_word(bpm: float) -> str | None:
    """Return the tempo word of a BPM value; None between two words."""
    if bpm <= SLOW_BELOW:
        return "slow"
    if bpm >= FAST_FROM:
        return "fast"
    return "medium" if MEDIUM[0] <= bpm <= MEDIUM[1] else None
