"""Measures: what can be told of a clip, or of many. One measure, one file; none knows of MusicGen."""

from tonearm.measures.beat_this import BeatThisTracker
from tonearm.measures.brightness import measure_brightness, measure_high_energy, measure_rolloff
from tonearm.measures.description import Description, describe
from tonearm.measures.dynamics import measure_crest, measure_loudness_range
from tonearm.measures.faults import faults, measure_clipped, measure_dc_offset, measure_silence
from tonearm.measures.key import KeyEstimate, measure_key
from tonearm.measures.loudness import measure_loudness, measure_peak, measure_true_peak
from tonearm.measures.measurement import Measurement
from tonearm.measures.onsets import measure_onset_rate
from tonearm.measures.share import Share
from tonearm.measures.tempo import (
    BeatTracker,
    LibrosaTracker,
    TempoEstimate,
    fitted_bpm,
    measure_tempo,
    median_bpm,
)
from tonearm.measures.tempo_accuracy import TempoAccuracy, is_right_tempo, tempo_accuracy

__all__ = [
    "BeatThisTracker",
    "BeatTracker",
    "Description",
    "KeyEstimate",
    "LibrosaTracker",
    "Measurement",
    "Share",
    "TempoAccuracy",
    "TempoEstimate",
    "describe",
    "faults",
    "fitted_bpm",
    "is_right_tempo",
    "measure_brightness",
    "measure_clipped",
    "measure_crest",
    "measure_dc_offset",
    "measure_high_energy",
    "measure_key",
    "measure_loudness",
    "measure_loudness_range",
    "measure_onset_rate",
    "measure_peak",
    "measure_rolloff",
    "measure_silence",
    "measure_tempo",
    "measure_true_peak",
    "median_bpm",
    "tempo_accuracy",
]
