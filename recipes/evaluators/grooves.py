"""Free rhythms composed from seeds, for the beat tracker only.

pocket's corpus plays every beat. Real music omits beats, plays between them, swings, drifts, and
has bars of three beats. Grooves are random drum patterns over kick, snare and hats in sixteenths,
with random parts on any General MIDI program.
"""

import numpy as np

from recipes.evaluators.scores import Score
from tonearm.datasets.rendering.compose import FRAME_RATE, SCALES, Note

KICK, SIDE_STICK, SNARE, CLAP, HAT, PEDAL_HAT, OPEN_HAT, CRASH, RIDE = (
    36,
    37,
    38,
    39,
    42,
    44,
    46,
    49,
    51,
)
LOW_TOM, HIGH_TOM, SHAKER, TAMBOURINE, CLAVE, CONGA = 45, 50, 70, 54, 75, 63
KITS = (0, 8, 16, 24, 25, 32, 40)
BPM = (56.0, 195.0)
BASSES = tuple(range(32, 40))
CHORDS = (*range(8), *range(16, 32), *range(48, 55), *range(80, 96))
LEADS = tuple(range(96))

# Sixteenths of a bar of four beats
PATTERNS = {
    "four": {KICK: (0, 4, 8, 12), CLAP: (4, 12), OPEN_HAT: (2, 6, 10, 14)},
    "pulse": {KICK: (0, 4, 8, 12), HAT: tuple(range(16)), SNARE: (4, 12)},
    "rock": {KICK: (0, 8, 10), SNARE: (4, 12), HAT: tuple(range(0, 16, 2))},
    "rock, one kick": {KICK: (0, 7, 8), SNARE: (4, 12), HAT: tuple(range(0, 16, 2))},
    "break": {KICK: (0, 2, 10), SNARE: (4, 7, 9, 12), RIDE: tuple(range(0, 16, 2))},
    "break, late": {KICK: (0, 2, 10, 11), SNARE: (4, 7, 9, 14), HAT: tuple(range(0, 16, 2))},
    "two-step": {KICK: (0, 10), SNARE: (4, 12), HAT: tuple(range(0, 16, 2))},
    "funk": {KICK: (0, 3, 6, 10), SNARE: (4, 12), HAT: tuple(range(16))},
    "jazz": {RIDE: (0, 4, 6, 8, 12, 14), PEDAL_HAT: (4, 12), KICK: (0,)},
    "latin": {
        CLAVE: (0, 6, 12),
        CONGA: (4, 10, 12, 14),
        SHAKER: tuple(range(0, 16, 2)),
        KICK: (0, 6, 8, 14),
    },
    "folk": {TAMBOURINE: (4, 12), KICK: (0, 8)},
    "toms": {LOW_TOM: (0, 3, 6, 8), HIGH_TOM: (10, 12, 14), KICK: (0, 8), SNARE: (12,)},
    "half-time": {KICK: (0, 6), SNARE: (8,), HAT: tuple(range(0, 16, 2))},
}
WALTZES = {  # of three
    "waltz": {KICK: (0,), SNARE: (4, 8), HAT: (0, 4, 8)},
    "ride waltz": {KICK: (0,), RIDE: (0, 4, 6, 8, 10), SIDE_STICK: (8,)},
}
HALF_TIME_FROM = 110.0  # BPM; below it, half-time is perceived as half the tempo


def groove(seed: int, frames: int, held_out: bool = False) -> Score:
    """Compose the groove of a seed; the result depends on the arguments only.

    Args:
        seed: seed of the score. Held-out grooves differ from training ones by their seeds alone.
        frames: length in frames of 40 ms.
        held_out: unused; every composer has this argument.

    Returns:
        The score with beats, downbeats, tempo and metre.
    """
    rng = np.random.default_rng((seed, 2))
    bpm = float(np.exp(rng.uniform(*np.log(BPM))))
    meter = 4 if rng.random() < 0.85 else 3
    names = [name for name in PATTERNS if name != "half-time" or bpm > HALF_TIME_FROM]
    pattern = (
        PATTERNS[str(rng.choice(names))] if meter == 4 else WALTZES[str(rng.choice(list(WALTZES)))]
    )
    # delay of the off-beat eighth, in beats
    swing = float(rng.uniform(0.15, 0.34)) if rng.random() < 0.25 else 0.0
    at = _clock(bpm, meter, swing, rng, frames / FRAME_RATE)
    bars = int(np.ceil(at.beats / meter))
    parts = {
        part: rng.random() < share
        for part, share in (("drums", 0.85), ("bass", 0.75), ("chords", 0.75))
    }
    notes = _drums(pattern, meter, bars, rng) if parts["drums"] else []
    key, scale = int(rng.integers(55, 67)), SCALES[str(rng.choice(list(SCALES)))]
    roots = [0 if bar % 4 == 0 else int(rng.integers(7)) for bar in range(4)] * (bars // 4 + 1)

    def pitch(degree: int) -> int:
        octave, step = divmod(degree, 7)
        return key + 12 * octave + scale[step]

    if parts["bass"]:
        notes += _bass(roots[:bars], pitch, meter, rng)
    if parts["chords"] or not (parts["drums"] or parts["bass"]):
        notes += _chords(roots[:bars], pitch, meter, rng)
    if rng.random() < 0.6:
        notes += _lead(roots[:bars], pitch, meter, rng)
    jitter = 0.0 if rng.random() < 0.3 else rng.uniform(0.05, 0.3)  # frames
    played = []
    for sixteenth, length, channel, tone, velocity in notes:
        frame = at.frame(sixteenth / 4) + (rng.normal(0, jitter) if jitter else 0.0)
        if frame >= 0:
            ends = at.frame((sixteenth + length) / 4)
            loud = int(np.clip(velocity + rng.normal(0, 8), 20, 127))
            played.append(Note(frame, max(0.5, ends - frame), channel, tone, loud))
    numbers = np.arange(at.beats + 1)
    times = np.array([at.frame(number) for number in numbers]) / FRAME_RATE
    audible = (times >= 0) & (times < frames / FRAME_RATE)
    return Score(
        notes=sorted(played, key=lambda note: (note.frame, note.channel, note.key)),
        programs={
            0: int(rng.choice(LEADS)),
            1: int(rng.choice(BASSES)),
            2: int(rng.choice(CHORDS)),
        },
        kit=int(rng.choice(KITS)),
        beats=times[audible].tolist(),
        downbeats=times[audible & (numbers % meter == 0)].tolist(),
        labels={"seed": seed, "bpm": round(bpm, 3), "meter": float(meter)},
        brightness=str(rng.choice(["dark", "neutral", "neutral", "neutral", "bright"])),
        room=float(rng.uniform(0.2, 1.2)) if rng.random() < 0.5 else 0.0,
        wet=float(rng.uniform(0.1, 0.6)),
    )


class _Clock:
    """Map beats to frames, with a drifting tempo; off-beat eighths are late by `swing`."""

    def __init__(self, starts: np.ndarray, swing: float):
        self.starts, self.swing = starts, swing

    @property
    def beats(self) -> int:
        return len(self.starts) - 1

    def frame(self, beat: float) -> float:
        whole, part = divmod(beat, 1.0)
        swung = (
            part * (0.5 + self.swing) / 0.5
            if part < 0.5
            else 1 - (1 - part) * (0.5 - self.swing) / 0.5
        )
        return float(np.interp(whole + swung, np.arange(len(self.starts)), self.starts))


def _clock(
    bpm: float, meter: int, swing: float, rng: np.random.Generator, seconds: float
) -> _Clock:
    """Draw the beat times; the clip starts at a random place of the first bar."""
    beats = meter * (2 + int(seconds * bpm * 1.15 / 60 / meter))
    drift = np.cumsum(rng.normal(0, rng.choice([0.0, 0.002, 0.008]), beats))
    durations = 60 / bpm * np.exp(np.clip(drift, -0.08, 0.08)) * FRAME_RATE
    starts = np.concatenate([[0.0], np.cumsum(durations)])
    return _Clock(starts - rng.uniform(0, starts[meter]), swing)


# sixteenth, length in sixteenths, channel, key, velocity
Part = list[tuple[float, float, int, int, float]]


def _drums(
    pattern: dict[int, tuple[int, ...]], meter: int, bars: int, rng: np.random.Generator
) -> Part:
    slots = 4 * meter
    added = {drum: tuple(np.flatnonzero(rng.random(slots) < 0.05)) for drum in (KICK, SNARE, HAT)}
    left_out = 0.04 if rng.random() < 0.5 else 0.15
    notes: Part = []
    for bar in range(bars):
        fill = bar % 4 == 3 and rng.random() < 0.4
        for drum in {*pattern, *added}:
            for slot in {*pattern.get(drum, ()), *added.get(drum, ())}:
                if rng.random() < left_out or (fill and slot >= slots - 4):
                    continue
                ghost = drum == SNARE and slot % 4
                quiet = 35 if ghost else 20 if drum in (HAT, SHAKER) and slot % 4 else 0
                notes.append((bar * slots + slot, 1.0, 9, drum, 98 - quiet + 8 * (slot == 0)))
        if fill:
            drums = rng.choice([SNARE, LOW_TOM, HIGH_TOM], 4)
            notes += [
                (bar * slots + slots - 4 + i, 1.0, 9, int(drum), 95.0)
                for i, drum in enumerate(drums)
            ]
        if bar % 4 == 0 and rng.random() < 0.4:
            notes.append((bar * slots, 4.0, 9, CRASH, 95.0))
    return notes


def _bass(roots: list[int], pitch, meter: int, rng: np.random.Generator) -> Part:
    slots = 4 * meter
    rhythm = sorted(
        {
            0,
            *np.flatnonzero(
                rng.random(slots)
                < [0.45 if s % 4 == 0 else 0.3 if s % 2 == 0 else 0.06 for s in range(slots)]
            ),
        }
    )
    steps = [0 if slot % 8 == 0 else int(rng.choice([0, 0, 4, 7])) for slot in rhythm]
    ends = [*rhythm[1:], slots]
    return [
        (bar * slots + slot, (end - slot) * 0.9, 1, pitch(root + step) - 24, 92 + 8 * (slot == 0))
        for bar, root in enumerate(roots)
        for slot, step, end in zip(rhythm, steps, ends, strict=True)
    ]


def _chords(roots: list[int], pitch, meter: int, rng: np.random.Generator) -> Part:
    slots = 4 * meter
    rhythm, length = [
        ((0,), slots),
        (tuple(range(0, slots, 4)), 3.5),
        (tuple(range(2, slots, 4)), 1.5),
        (tuple(range(0, slots, 2)), 1.5),
        ((0, 6, 10) if meter == 4 else (0, 6), 2.0),
        (tuple(range(4, slots, 4)), 2.0),
    ][rng.integers(6)]
    broken = rng.random() < 0.25 and length < slots
    notes: Part = []
    for bar, root in enumerate(roots):
        for i, slot in enumerate(rhythm):
            tones = [(0, 2, 4)[i % 3]] if broken else [0, 2, 4]
            notes += [
                (bar * slots + slot, length, 2, pitch(root + tone), 76 + 10 * (slot == 0))
                for tone in tones
            ]
    return notes


def _lead(roots: list[int], pitch, meter: int, rng: np.random.Generator) -> Part:
    slots, degree = 4 * meter, 4
    rhythm = [
        slot
        for slot in range(slots)
        if rng.random() < (0.7 if slot % 4 == 0 else 0.45 if slot % 2 == 0 else 0.1)
    ] or [0]
    notes: Part = []
    for bar, root in enumerate(roots):
        if bar % 2 and rng.random() < 0.3:
            continue
        for slot, end in zip(rhythm, [*rhythm[1:], slots], strict=True):
            degree = int(np.clip(degree + rng.integers(-2, 3), 0, 10))
            notes.append(
                (bar * slots + slot, (end - slot) * 0.9, 0, pitch(root % 3 + degree) + 12, 96.0)
            )
    return notes
