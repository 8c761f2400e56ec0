"""Faults of a clip: broken audio, and music that is stuck.

Aim: to detect a broken take before its other measures are interpreted.

Conventions: a clip is faulty where

- any sample is not finite, over 0.1 % of the samples are clipped, over half of the duration is
  silent, or the DC offset exceeds 0.01 of full scale;
- a clip of 5 s or more has a tone of 5.5 s or more, over 30 % of its tonal energy in tones of 4 s or
  more, a pulse clarity under 0.2, or such a pulse and hardly any spectral change for 10 s (or
  throughout, where it is shorter).

One of 100 rendered pieces exceeds the limits, that on the pulse (`docs/measures.md` has the table,
`recipes/evaluators/fault_calibration.py` makes it). They hold for music with notes and a
beat: an organ point, a soundscape or free rhythm exceeds them rightly, and is no broken file.
The comb buzz of a codec is a measure, not a fault: every take of pocket has it.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure
from tonearm.measures.clipping import CLIPPING
from tonearm.measures.dc_offset import DC_OFFSET
from tonearm.measures.held_tones import HELD_TONES, HeldTones
from tonearm.measures.pulse_clarity import PULSE_CLARITY
from tonearm.measures.silence import SILENCE
from tonearm.measures.static import BLOCK_SECONDS, STATIC

MAX_CLIPPED_SHARE = 0.001
MAX_SILENT_SHARE = 0.5
MAX_DC_OFFSET = 0.01
MIN_MUSIC_SECONDS = 5.0  # shorter clips, such as single notes, are not tested for stuck music
HELD_TONE_LIMIT = 5.5  # seconds; a note of 5 s, with the length of the analysis frames
HELD_SHARE_LIMIT = 0.3
STATIC_LIMIT = 10.0  # seconds
PULSE_LIMIT = 0.2  # of pulse clarity


def faults(clip: Clip) -> list[str]:
    """List the faults of a clip, each in a few words with its value; a clip with any is faulty."""
    return find_faults(ClipAnalysis(clip))


def find_faults(analysis: ClipAnalysis) -> list[str]:
    """List the faults of an analysed clip."""
    samples = analysis.clip.samples
    if not samples.size:
        return ["no samples"]
    broken = int((~np.isfinite(samples)).sum())
    if broken:
        return [f"{broken} samples are NaN or infinite"]
    if not analysis.is_sounding:
        return ["silent"]
    return [*_of_audio(analysis), *_of_music(analysis)]


def _of_audio(analysis: ClipAnalysis) -> list[str]:
    clipped, silent, offset = (_number(analysis, one) for one in (CLIPPING, SILENCE, DC_OFFSET))
    found = []
    if clipped > MAX_CLIPPED_SHARE:
        found.append(f"{100 * clipped:.2g} % of samples clipped")
    if silent > MAX_SILENT_SHARE:
        found.append(f"silent {100 * silent:.0f} % of the time")
    if offset > MAX_DC_OFFSET:
        found.append(f"DC offset {offset:.2g} of full scale")
    return found


def _of_music(analysis: ClipAnalysis) -> list[str]:
    seconds = analysis.clip.seconds
    if seconds < MIN_MUSIC_SECONDS:
        return []
    found = []
    held = analysis.estimate(HELD_TONES)
    assert isinstance(held, HeldTones)
    longest, share = held.longest or 0.0, held.share or 0.0
    if longest >= HELD_TONE_LIMIT:
        found.append(f"a tone held for {longest:.1f} s (limit {HELD_TONE_LIMIT:g} s)")
    if share > HELD_SHARE_LIMIT:
        found.append(
            f"{100 * share:.0f} % of tonal energy in held tones (limit {100 * HELD_SHARE_LIMIT:g} %)"
        )
    pulse = analysis.estimate(PULSE_CLARITY)
    assert isinstance(pulse, float)  # defined from 4 s on
    if pulse < PULSE_LIMIT:
        static = _number(analysis, STATIC)
        limit = min(STATIC_LIMIT, seconds // BLOCK_SECONDS * BLOCK_SECONDS)
        # half seconds of a strict repetition, such as a metronome's, do not differ either
        if static >= limit:
            found.append(f"static spectrum for {static:.1f} s (limit {limit:g} s)")
        found.append(f"no pulse: clarity {pulse:.2f} (limit {PULSE_LIMIT:g})")
    return found


def _number(analysis: ClipAnalysis, measure: Measure) -> float:
    (measurement,) = measure.measurements(analysis)
    return measurement.number or 0.0
