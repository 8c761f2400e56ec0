"""Recipe `tempos`: 161 tempos on 5 click sounds, 5 excerpts of 4 s of each, 4,025 clips.

A metronome in 4/4 from 50 to 210 BPM. The excerpts of one tempo and sound are parts of one render,
and so of one track.

Source: Wei et al. 2024; https://github.com/brown-palm/syntheory, dataset/synthetic/tempos.py.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tonearm.datasets.rendering.balanced import balanced_subset
from tonearm.datasets.rendering.compose import DRUMS, FRAME_RATE, LEAD, Note
from tonearm.datasets.rendering.recipe import PlannedClip, Recipe
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.datasets.rendering.tonal import GAIN, SAMPLE_RATE

BPM = range(50, 211)
EXCERPTS = 5
SECONDS = 4.0
LATEST = 16.0  # start of an excerpt, in seconds
BEATS_PER_BAR = 4
DOWNBEAT_VELOCITY, BEAT_VELOCITY = 100, 75


@dataclass(frozen=True)
class ClickSound:
    """Keys of a metronome: a program of General MIDI, or the drum kit of channel 10."""

    name: str
    program: int
    downbeat_key: int
    beat_key: int
    channel: int = LEAD


SOUNDS = (
    ClickSound("default", 0, 37, 31, DRUMS),
    ClickSound("woodblock_dark", 115, 37, 31),
    ClickSound("woodblock_light", 115, 52, 48),
    ClickSound("taiko", 116, 52, 48),
    ClickSound("synth_drum", 118, 52, 48),
)
SIZES = (len(BPM), len(SOUNDS), EXCERPTS)


def clicks(bpm: int, sound: ClickSound, seconds: float) -> list[Note]:
    """Return the notes of a metronome from its first downbeat on.

    Args:
        bpm: tempo.
        sound: of the clicks.
        seconds: no click starts later.
    """
    beat = 60 * FRAME_RATE / bpm  # in frames
    return [
        Note(
            number * beat,
            beat,
            sound.channel,
            sound.beat_key if number % BEATS_PER_BAR else sound.downbeat_key,
            BEAT_VELOCITY if number % BEATS_PER_BAR else DOWNBEAT_VELOCITY,
        )
        for number in range(math.ceil(seconds * bpm / 60))
    ]


def _plan(count: int, seed: int) -> Iterator[PlannedClip]:
    return (
        _excerpt(BPM[tempo], SOUNDS[sound], number, _start(seed, tempo, sound, number))
        for tempo, sound, number in balanced_subset(SIZES, count, seed).tolist()
    )


def _start(seed: int, *cell: int) -> float:
    return round(float(np.random.default_rng((seed, *cell)).uniform(0, LATEST)), 4)


def _excerpt(bpm: int, sound: ClickSound, number: int, start: float) -> PlannedClip:
    def render(renderer: Renderer) -> np.ndarray:
        end = start + SECONDS
        programs = {sound.channel: sound.program} if sound.channel != DRUMS else {}
        frames = math.ceil(end * FRAME_RATE)
        samples = renderer.play(clicks(bpm, sound, end), programs, frames)
        first = round(start * renderer.sample_rate)
        return GAIN * samples[first : first + round(SECONDS * renderer.sample_rate)]

    track = f"{bpm:03d}-bpm-{sound.name}"
    columns: dict[str, str | int | float] = {
        "bpm": bpm,
        "click_config_name": sound.name,
        "midi_program_num": sound.program,
        "offset_time": start,
    }
    return PlannedClip(f"{track}-{number}", track, columns, render)


RECIPE = Recipe(
    name="tempos",
    summary="a metronome: BPM, click sound",
    sample_rate=SAMPLE_RATE,
    sizes=SIZES,
    plan=_plan,
)
