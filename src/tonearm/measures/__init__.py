"""Measures: what can be told of a clip, or of many. One measure, one file; none knows of MusicGen."""

from tonearm.measures.brightness import measure_high_frequency_ratio, measure_rolloff, measure_spectral_centroid
from tonearm.measures.clap_score import measure_clap_score, measure_clap_scores
from tonearm.measures.classifier import (
    Classifier,
    Verdict,
    load_classifier,
    measure_classifier,
    measure_classifiers,
    save_classifier,
    train_classifier,
)
from tonearm.measures.describe import Description, describe
from tonearm.measures.dynamics import measure_crest_factor, measure_loudness_range
from tonearm.measures.fad import FAD, measure_fad
from tonearm.measures.faults import faults, measure_clipped, measure_dc_offset, measure_silence
from tonearm.measures.kad import KAD, measure_kad
from tonearm.measures.key import KeyEstimate, measure_key
from tonearm.measures.loudness import measure_loudness, measure_peak, measure_true_peak
from tonearm.measures.measurement import Measurement
from tonearm.measures.onset_rate import measure_onset_rate
from tonearm.measures.tempo import TempoEstimate, fitted_bpm, measure_tempo, median_bpm
from tonearm.measures.tempo_accuracy import TempoAccuracy, is_right_tempo, tempo_accuracy
from tonearm.measures.zero_shot import ZeroShot, measure_zero_shot, measure_zero_shots

__all__ = [
    "Classifier",
    "Description",
    "FAD",
    "KAD",
    "KeyEstimate",
    "Measurement",
    "TempoAccuracy",
    "TempoEstimate",
    "Verdict",
    "ZeroShot",
    "describe",
    "faults",
    "fitted_bpm",
    "is_right_tempo",
    "load_classifier",
    "measure_clap_score",
    "measure_clap_scores",
    "measure_spectral_centroid",
    "measure_classifier",
    "measure_classifiers",
    "measure_clipped",
    "measure_crest_factor",
    "measure_dc_offset",
    "measure_fad",
    "measure_high_frequency_ratio",
    "measure_kad",
    "measure_key",
    "measure_loudness",
    "measure_loudness_range",
    "measure_onset_rate",
    "measure_peak",
    "measure_rolloff",
    "measure_silence",
    "measure_tempo",
    "measure_true_peak",
    "measure_zero_shot",
    "measure_zero_shots",
    "median_bpm",
    "save_classifier",
    "tempo_accuracy",
    "train_classifier",
]
