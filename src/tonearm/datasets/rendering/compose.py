"""Pieces of pocket's corpus, composed by rules from seeds, with exact ground truth.

Time is counted in codec frames (40 ms) and all beats start on a frame, so that a repeated bar also
repeats as codes. This makes a beat learnable for a small model. A beat lasts a whole number of
frames n, so the tempos are 60 * 25 / n BPM. One of them is within 7 % of any number between 60 and
188.
"""

from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

from tonearm.datasets.rendering.styles import (
    BEATS,
    KICK,
    LEADS,
    PULSE_SOUNDS,
    SHAKER,
    STYLES,
    Style,
)

FRAME_RATE = 25  # frames per second
FRAMES_PER_CLIP = 256  # 10.24 s
BEAT_FRAMES = {"slow": (18, 20, 22, 25), "medium": (12, 13, 14, 16), "fast": (8, 9, 10, 11)}
BEAT_LENGTHS = sorted(frames for group in BEAT_FRAMES.values() for frames in group)
BPM_NUMBERS = range(40, 241)  # that a caption may contain

TONICS = {"C": 60, "D": 62, "E": 64, "F": 65, "G": 67, "A": 57, "Bb": 58}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
BEATS_PER_CHORD = 2
PROGRESSION_BEATS = 4 * BEATS_PER_CHORD  # short, so that every clip contains a complete progression
PROGRESSIONS = {  # scale degrees, 0-based
    "major": ((0, 4, 5, 3), (0, 3, 4, 0), (0, 5, 3, 4), (0, 0, 3, 4), (0, 3, 0, 4), (0, 2, 3, 3)),
    "minor": ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 6), (0, 0, 3, 6), (0, 5, 6, 0), (0, 3, 6, 2)),
}
HUMAN_SHARE = 0.25  # of the pieces have chords and lead slightly off the grid
HUMAN_FRAMES = 0.2  # deviation: 8 ms
FILL_SHARE = 0.6  # of the pieces with drums


def nearest_beat_frames(number: int) -> int:
    """Return the beat length, in frames, nearest to a BPM number; 240 maps to the fastest tempo."""
    return min(
        BEAT_LENGTHS, key=lambda beat_frames: abs(np.log(number * beat_frames / (60 * FRAME_RATE)))
    )


@cache
def bpm_numbers_for(beat_frames: int) -> tuple[int, ...]:
    """Return the BPM_NUMBERS that map to this beat length."""
    return tuple(number for number in BPM_NUMBERS if nearest_beat_frames(number) == beat_frames)


@dataclass(frozen=True)
class Note:
    frame: float  # fractional for humanised notes only
    length: float  # frames
    channel: int  # LEAD, BASS, CHORDS or DRUMS
    key: int
    velocity: int


LEAD, BASS, CHORDS, DRUMS = 0, 1, 2, 9  # channels


@dataclass(frozen=True)
class Piece:
    """Score and ground truth of one clip."""

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
        """Beat times in seconds."""
        return [frame / FRAME_RATE for frame in range(0, FRAMES_PER_CLIP, self.beat_frames)]

    def labels(self) -> dict[str, Any]:
        keys = (
            "seed",
            "genre",
            "lead",
            "beat_frames",
            "tonic",
            "mode",
            "brightness",
            "density",
            "dynamics",
        )
        return {key: getattr(self, key) for key in keys} | {
            "bpm": round(self.bpm, 3),
            "tempo": self.tempo,
        }


def compose(
    seed: int, progressions: dict[str, tuple] = PROGRESSIONS, frames: int = FRAMES_PER_CLIP
) -> Piece:
    """Compose the piece of a seed; the result depends on the arguments only.

    Args:
        seed: seed of the piece.
        progressions: mode -> chord progressions to draw from.
        frames: length in frames.

    Returns:
        The piece.
    """
    rng = np.random.default_rng(seed)
    genre = str(rng.choice(list(STYLES)))
    tempo = str(rng.choice(list(BEAT_FRAMES)))
    labels: dict[str, Any] = dict(
        seed=seed,
        genre=genre,
        lead=str(rng.choice(list(LEADS))),
        beat_frames=int(rng.choice(BEAT_FRAMES[tempo])),
        tonic=str(rng.choice(list(TONICS))),
        mode=str(rng.choice(list(SCALES))),
        brightness=str(rng.choice(["dark", "neutral", "bright"])),
        density=str(rng.choice(["sparse", "normal", "dense"])),
        dynamics=str(rng.choice(["soft", "normal", "loud"])),
    )
    style = STYLES[genre]
    programs = {
        LEAD: LEADS[labels["lead"]].program,
        BASS: int(rng.choice(style.bass)),
        CHORDS: int(rng.choice(style.chords)),
    }
    notes = _Arranger(labels, style, progressions, frames, rng).arrange()
    return Piece(**labels, programs=programs, notes=notes)


class _Arranger:
    """Choose the pattern of each part, then place notes slot by slot (eighths; eight per bar)."""

    def __init__(
        self,
        labels: dict[str, Any],
        style: Style,
        progressions: dict[str, tuple],
        frames: int,
        rng: np.random.Generator,
    ) -> None:
        self.labels, self.frames, self.rng = labels, frames, rng
        self.beat: int = labels["beat_frames"]
        self.density: str = labels["density"]
        self.style = style
        self.drums = style.drums[rng.integers(len(style.drums))]
        self.bass_slots = style.bass_slots[rng.integers(len(style.bass_slots))]
        self.chord_slots = style.chord_slots[rng.integers(len(style.chord_slots))]
        choices = progressions[labels["mode"]]
        self.progression = choices[rng.integers(len(choices))]
        self.motifs = [_motif(self.density, rng), _motif(self.density, rng)]
        self.form = ((0, 0), (0, 1))[rng.integers(2)]  # which motif in even and in odd bars
        self.fills = bool(self.drums) and rng.random() < FILL_SHARE
        self.off_beat = round(self.beat * (2 / 3 if style.swing else 1 / 2))
        self.slow, self.fast = (self.beat in BEAT_FRAMES[word] for word in ("slow", "fast"))
        self.notes: list[Note] = []

    def arrange(self) -> list[Note]:
        for slot in range(2 * -(-self.frames // self.beat)):
            frame = slot // 2 * self.beat + (self.off_beat if slot % 2 else 0)
            if frame < self.frames:
                self._play_slot(frame, *divmod(slot, 8))
        if self.rng.random() < HUMAN_SHARE:
            self._humanise()
        return sorted(self.notes, key=lambda note: (note.frame, note.channel, note.key))

    def _play_slot(self, frame: int, bar: int, slot: int) -> None:
        play, style, density = partial(self._play, frame), self.style, self.density
        root = self.progression[((8 * bar + slot) // (2 * BEATS_PER_CHORD)) % len(self.progression)]
        on_beat = slot % 2 == 0
        # For a clear beat, slow pieces have soft off-beats and fast ones a kick on every beat.
        accent = 18 if slot == 0 else 8 if slot == 4 else -35 if self.slow and not on_beat else 0
        filling = self.fills and bar % 2 == 1 and slot >= 4
        for sound, slots in self.drums.items():
            is_pulse = sound in PULSE_SOUNDS
            if sound == KICK and self.fast:
                slots = BEATS
            if slot not in slots or (
                not on_beat and is_pulse and (density == "sparse" or self.slow)
            ):
                continue
            if not filling or sound == KICK:
                play(0.4, DRUMS, sound, (70 if is_pulse and not on_beat else 92) + accent)
        if filling and (on_beat or not self.slow):
            play(0.4, DRUMS, style.fill[slot - 4], 80 + 5 * (slot - 4) + max(accent, 0))
        if density == "dense" and on_beat and not self.drums:
            play(0.4, DRUMS, SHAKER, 90)
        if slot in self.bass_slots and (
            density != "sparse" or slot in (0, 4) or self.bass_slots[0]
        ):
            play(0.9 if on_beat else 0.45, BASS, self._pitch(root) - 24, 92 + accent)
        if slot in self.chord_slots and (density != "sparse" or slot == self.chord_slots[0]):
            for third in range(4 if density == "dense" else 3):
                play(
                    style.chord_length,
                    CHORDS,
                    self._pitch(root + 2 * third) - 12 * (third == 3),
                    70 + accent,
                )
        motif = self.motifs[self.form[bar % 2]]
        if slot in motif:
            step, length = motif[slot]
            play(
                length,
                LEAD,
                self._pitch(root + step) + LEADS[self.labels["lead"]].octave,
                104 + accent // 2,
            )

    def _pitch(self, degree: int) -> int:
        octave, step = divmod(degree, 7)
        return TONICS[self.labels["tonic"]] + 12 * octave + SCALES[self.labels["mode"]][step]

    def _play(self, frame: int, beats: float, channel: int, key: int, velocity: int) -> None:
        self.notes.append(Note(frame, max(1, round(beats * self.beat)), channel, key, velocity))

    def _humanise(self) -> None:
        """Shift chords and lead off the grid, and vary all velocities.

        Drums and bass stay on the grid.
        """

        def humanised(note: Note, shift: float) -> Note:
            delay = 0.0 if note.channel in (BASS, DRUMS) else shift
            velocity = int(np.clip(note.velocity + self.rng.normal(0, 6), 20, 127))
            return Note(max(0.0, note.frame + delay), note.length, note.channel, note.key, velocity)

        shifts = {(n.frame, n.channel): float(self.rng.normal(0, HUMAN_FRAMES)) for n in self.notes}
        self.notes = [humanised(note, shifts[note.frame, note.channel]) for note in self.notes]


def _motif(density: str, rng: np.random.Generator) -> dict[int, tuple[int, float]]:
    """Return one bar of melody, {slot: (scale steps above the chord's root, beats)}."""
    slots = {"sparse": [0, 4], "normal": [0, 2, 3, 4, 6], "dense": list(range(8))}[density]
    kept = [slot for slot in slots if slot == 0 or rng.random() < 0.8]
    steps = (0, 2, 4, 4, 2, 5, 7, 1)
    ends = [*kept[1:], 8]
    return {
        slot: (int(rng.choice(steps)), (end - slot) / 2 * 0.9)
        for slot, end in zip(kept, ends, strict=True)
    }
