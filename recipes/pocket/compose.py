"""Seed -> Piece: music composed by rules, with its exact ground truth.

Time is counted in codec frames (40 ms) and every note starts on one, so that a repeated bar repeats
as codes too: that is what makes a beat learnable for a small model. A beat lasts a whole number of frames n,
so the tempos are 60 * 25 / n BPM.
"""

from dataclasses import dataclass, field

import numpy as np

FRAME_RATE = 25  # frames per second
FRAMES_PER_CLIP = 256  # 10.24 s
BEAT_FRAMES = {"slow": (18, 20, 22), "medium": (12, 14, 16), "fast": (8, 9, 10)}

TONICS = {"C": 60, "D": 62, "F": 65, "G": 67, "A": 57}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
BEATS_PER_CHORD = 2  # four chords are eight beats: every clip, slow ones too, hears the whole progression come round
PROGRESSIONS = {  # scale degrees, 0-based
    "major": ((0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (0, 0, 3, 4)),
    "minor": ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 6), (0, 0, 3, 6)),
}

# General MIDI programs, 0-based
LEAD_PROGRAM = {
    "piano": 0,
    "guitar": 25,
    "flute": 73,
    "violin": 40,
    "trumpet": 56,
    "saxophone": 65,
    "organ": 19,
    "synth": 80,
}
LEAD_OCTAVE = {
    "piano": 12,
    "guitar": 0,
    "flute": 12,
    "violin": 12,
    "trumpet": 0,
    "saxophone": 0,
    "organ": 0,
    "synth": 12,
}
KICK, SNARE, CLAP, HAT, OPEN_HAT, RIDE, PEDAL_HAT = 36, 38, 39, 42, 46, 51, 44
TAMBOURINE, SHAKER, CLAVE, CONGA_HIGH, CONGA_LOW = 54, 70, 75, 63, 64


@dataclass(frozen=True)
class Style:
    """What a genre plays in one bar of eight eighth notes: {sound: eighths}, and the band's programs."""

    drums: dict[int, tuple[int, ...]]
    bass: int
    bass_eighths: tuple[int, ...]
    chords: int
    chord_eighths: tuple[int, ...]
    chord_length: float  # beats
    swing: bool = False


STYLES = {
    "rock": Style({KICK: (0, 4, 5), SNARE: (2, 6), HAT: tuple(range(8))}, 33, tuple(range(8)), 29, (0, 4), 1.8),
    "jazz": Style({RIDE: (0, 2, 3, 4, 6, 7), PEDAL_HAT: (2, 6), KICK: (0,)}, 32, (0, 2, 4, 6), 26, (1, 4), 0.5, True),
    "folk": Style({TAMBOURINE: (2, 6)}, 32, (0, 4), 24, (0, 2, 3, 4, 6, 7), 0.9),
    "electronic": Style(
        {KICK: (0, 2, 4, 6), CLAP: (2, 6), OPEN_HAT: (1, 3, 5, 7)}, 38, (1, 3, 5, 7), 81, (0, 3, 6), 0.7
    ),
    "classical": Style({}, 43, (0, 4), 48, (0, 2, 4, 6), 0.8),
    "hip hop": Style({KICK: (0, 3, 5), SNARE: (2, 6), HAT: tuple(range(8))}, 39, (0, 3, 5), 4, (0,), 3.5),
    "latin": Style(
        {CLAVE: (0, 3, 6), CONGA_HIGH: (2, 5), CONGA_LOW: (6, 7), SHAKER: tuple(range(8))},
        32,
        (0, 3, 6),
        0,
        (0, 1, 3, 4, 6),
        0.45,
    ),
}


@dataclass(frozen=True)
class Note:
    frame: float  # whole in pocket's corpus; a humanised performance (recipes/ears) leaves the grid
    length: float  # frames
    channel: int  # 9 is drums
    key: int
    velocity: int


@dataclass(frozen=True)
class Piece:
    """One clip's score and ground truth."""

    seed: int
    genre: str
    lead: str
    beat_frames: int
    tonic: str
    mode: str
    brightness: str  # dark | neutral | bright
    density: str  # sparse | normal | dense
    dynamics: str  # soft | normal | loud
    programs: dict[int, int] = field(repr=False)
    notes: list[Note] = field(repr=False)

    @property
    def bpm(self) -> float:
        return 60 * FRAME_RATE / self.beat_frames

    @property
    def tempo(self) -> str:
        return next(word for word, frames in BEAT_FRAMES.items() if self.beat_frames in frames)

    @property
    def beat_times(self) -> list[float]:
        """Seconds."""
        return [frame / FRAME_RATE for frame in range(0, FRAMES_PER_CLIP, self.beat_frames)]

    def labels(self) -> dict:
        keys = ("seed", "genre", "lead", "beat_frames", "tonic", "mode", "brightness", "density", "dynamics")
        return {key: getattr(self, key) for key in keys} | {"bpm": round(self.bpm, 3), "tempo": self.tempo}


def compose(seed: int, progressions: dict[str, tuple] = PROGRESSIONS, frames: int = FRAMES_PER_CLIP) -> Piece:
    """The piece of this seed; the same seed gives the same piece for ever. `frames` is how long it plays."""
    rng = np.random.default_rng(seed)
    genre = str(rng.choice(list(STYLES)))
    tempo = str(rng.choice(list(BEAT_FRAMES)))
    labels = dict(
        seed=seed, genre=genre, lead=str(rng.choice(list(LEAD_PROGRAM))),
        beat_frames=int(rng.choice(BEAT_FRAMES[tempo])),
        tonic=str(rng.choice(list(TONICS))), mode=str(rng.choice(list(SCALES))),
        brightness=str(rng.choice(["dark", "neutral", "bright"])),
        density=str(rng.choice(["sparse", "normal", "dense"])),
        dynamics=str(rng.choice(["soft", "normal", "loud"])),
    )  # fmt: skip
    style = STYLES[genre]
    programs = {0: LEAD_PROGRAM[labels["lead"]], 1: style.bass, 2: style.chords}
    return Piece(**labels, programs=programs, notes=_arrange(labels, style, progressions, frames, rng))


def _arrange(
    labels: dict, style: Style, progressions: dict[str, tuple], frames: int, rng: np.random.Generator
) -> list[Note]:
    beat = labels["beat_frames"]
    density = labels["density"]
    scale, tonic = SCALES[labels["mode"]], TONICS[labels["tonic"]]
    progression = progressions[labels["mode"]][rng.integers(4)]
    off_beat = round(beat * (2 / 3 if style.swing else 1 / 2))
    motif = _motif(density, rng)
    slow, fast = beat in BEAT_FRAMES["slow"], beat in BEAT_FRAMES["fast"]

    def pitch(degree: int) -> int:
        octave, step = divmod(degree, 7)
        return tonic + 12 * octave + scale[step]

    def chord_at(eighth: int) -> int:
        return progression[(eighth // (2 * BEATS_PER_CHORD)) % len(progression)]

    notes = []

    def play(frame: int, beats: float, channel: int, key: int, velocity: int) -> None:
        notes.append(Note(frame, max(1, round(beats * beat)), channel, key, velocity))

    for eighth in range(2 * -(-frames // beat)):
        frame = eighth // 2 * beat + (off_beat if eighth % 2 else 0)
        if frame >= frames:
            break
        slot, root = eighth % 8, chord_at(eighth)
        on_beat = slot % 2 == 0
        # The beat must be plain to hear: slow pieces play their off-beats softly, fast ones kick on every beat.
        accent = 18 if slot == 0 else 8 if slot == 4 else -35 if slow and not on_beat else 0
        for sound, eighths in style.drums.items():
            timekeeper = sound in (HAT, SHAKER, RIDE)
            if sound == KICK and fast:
                eighths = (0, 2, 4, 6)
            if slot not in eighths or (not on_beat and timekeeper and (density == "sparse" or slow)):
                continue
            play(frame, 0.4, 9, sound, (70 if timekeeper and not on_beat else 92) + accent)
        if density == "dense" and on_beat and not style.drums:
            play(frame, 0.4, 9, SHAKER, 90)
        if slot in style.bass_eighths and (density != "sparse" or slot in (0, 4) or style.bass_eighths[0]):
            play(frame, 0.9 if on_beat else 0.45, 1, pitch(root) - 24, 92 + accent)
        if slot in style.chord_eighths and (density != "sparse" or slot == style.chord_eighths[0]):
            for third in range(4 if density == "dense" else 3):
                play(frame, style.chord_length, 2, pitch(root + 2 * third) - 12 * (third == 3), 70 + accent)
        if slot in motif:
            step, length = motif[slot]
            play(frame, length, 0, pitch(root + step) + LEAD_OCTAVE[labels["lead"]], 104 + accent // 2)
    return sorted(notes, key=lambda note: (note.frame, note.channel, note.key))


def _motif(density: str, rng: np.random.Generator) -> dict[int, tuple[int, float]]:
    """One bar of melody, {eighth: (scale steps above the chord's root, beats)}; repeated over every chord."""
    slots = {"sparse": [0, 4], "normal": [0, 2, 3, 4, 6], "dense": list(range(8))}[density]
    kept = [slot for slot in slots if slot == 0 or rng.random() < 0.8]
    steps = (0, 2, 4, 4, 2, 5, 7, 1)
    ends = [*kept[1:], 8]
    return {slot: (int(rng.choice(steps)), (end - slot) / 2 * 0.9) for slot, end in zip(kept, ends, strict=True)}
