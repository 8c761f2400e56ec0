"""Trims that bring a take the rest of the way to its targets.

    tempo              a time stretch, at most MAX_STRETCH
    spectral centroid  a shelving filter, at most MAX_TREBLE dB above 1 kHz
    loudness           a gain, at most MAX_GAIN dB, and never into clipping

Beyond these limits a trim is audible as such; a target that is farther is left to words and steering.
"""

from math import floor, log10

import numpy as np
from scipy.optimize import brentq

from tonearm.audio import Clip
from tonearm.knobs.goals import KnobGoal, TempoGoal
from tonearm.processing import CORNER, Trims, high_shelf

MAX_STRETCH = 0.08  # of the rate
MIN_STRETCH = 0.003  # below it, none is worth it
MAX_TREBLE, MIN_TREBLE = 6.0, 0.3  # dB
MAX_GAIN, MIN_GAIN = 6.0, 0.1  # dB
TREBLE_STEP = 0.05  # dB
CENTROID, LOUDNESS = "spectral_centroid", "loudness"
TEMPOS = ("tempo", "bundled_tempo")  # measures in BPM


def stretch_for(asked: float | None, tempo: float | None) -> float | None:
    """The rate that gives a take the asked tempo; None where none is needed, or it is too far.

    Args:
        asked: in BPM; None where it is not known.
        tempo: of the take, in BPM; None where it has none.
    """
    if not tempo or not asked:
        return None
    rate = asked / tempo
    return round(rate, 4) if MIN_STRETCH < abs(rate - 1) <= MAX_STRETCH else None


def treble_for(goal: KnobGoal, clip: Clip, asked: float) -> float | None:
    """The gain of the shelving filter that gives a clip the asked centroid, within MAX_TREBLE.

    Returns:
        None where the clip has no centroid, where its sample rate leaves nothing to filter, or where
        less than MIN_TREBLE is needed.
    """
    if clip.sample_rate <= 2 * CORNER:
        return None
    value = goal.reader(clip)
    if value is None or value == asked:
        return None
    end = MAX_TREBLE if asked > value else -MAX_TREBLE

    def excess(gain: float) -> float:
        return (goal.reader(high_shelf(clip, gain)) or value) - asked

    if (value - asked) * excess(end) >= 0:
        return end
    low, high = sorted((0.0, end))
    gain = float(brentq(excess, low, high, xtol=TREBLE_STEP))
    return round(gain, 2) if abs(gain) >= MIN_TREBLE else None


def gain_for(clip: Clip, value: float | None, asked: float) -> float | None:
    """The gain that gives a clip the asked loudness, within MAX_GAIN and below clipping.

    Returns:
        None where the loudness is not defined, or where less than MIN_GAIN is needed.
    """
    if value is None:
        return None
    peak = float(np.abs(clip.samples).max(initial=0))
    # rounded down, so that the rounded gain cannot clip
    headroom = floor(-2000 * log10(peak)) / 100 if peak else 0.0
    gain = min(max(asked - value, -MAX_GAIN), MAX_GAIN, max(0.0, headroom))
    return round(gain, 2) if abs(gain) >= MIN_GAIN else None


def trims_for(
    clip: Clip,
    tempo: TempoGoal | None,
    knobs: list[tuple[KnobGoal, float | None]],
) -> Trims:
    """The trims of a take.

    Args:
        clip: of the take.
        tempo: asked for in BPM; None where none is.
        knobs: the other goals, each with the asked value of its measure.
    """
    stretch = None if tempo is None else stretch_for(tempo.bpm, tempo.reader(clip))
    if tempo is None:
        for goal, asked in knobs:
            if goal.measure in TEMPOS:
                stretch = stretch_for(asked, goal.reader(clip))
    clip = Trims(stretch=stretch).apply(clip)
    treble = gain = None
    for goal, asked in knobs:
        if goal.measure == CENTROID and asked is not None:
            treble = treble_for(goal, clip, asked)
    clip = Trims(treble=treble).apply(clip)
    for goal, asked in knobs:
        if goal.measure == LOUDNESS and asked is not None:
            gain = gain_for(clip, goal.reader(clip), asked)
    return Trims(stretch=stretch, treble=treble, gain=gain)
