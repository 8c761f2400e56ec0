"""Measures: what arithmetic can tell of a clip. One measure, one file; none knows of MusicGen."""

from tonearm.measures.beat_this import BeatThisTracker
from tonearm.measures.brightness import measure_brightness, measure_high_energy
from tonearm.measures.description import Description, describe
from tonearm.measures.faults import faults, measure_clipped, measure_dc_offset, measure_silence
from tonearm.measures.loudness import measure_loudness, measure_peak
from tonearm.measures.measurement import Measurement
from tonearm.measures.onsets import measure_onset_rate
from tonearm.measures.tempo import (
    BeatTracker,
    LibrosaTracker,
    TempoEstimate,
    fitted_bpm,
    measure_tempo,
    median_bpm,
)

__all__ = [
    "BeatThisTracker",
    "BeatTracker",
    "Description",
    "LibrosaTracker",
    "Measurement",
    "TempoEstimate",
    "describe",
    "faults",
    "fitted_bpm",
    "measure_brightness",
    "measure_clipped",
    "measure_dc_offset",
    "measure_high_energy",
    "measure_loudness",
    "measure_onset_rate",
    "measure_peak",
    "measure_silence",
    "measure_tempo",
    "median_bpm",
]
