"""Measures of one clip, of sets of clips, and their registry. None depends on MusicGen.

Adding a measure takes one file with a `Measure` in it and one entry in `REGISTERED` below (or one
call of `register`, from anywhere).
"""

from tonearm.measures.base import ClipAnalysis, Measure, Measurement, measures, register
from tonearm.measures.batch import (
    ClapScoring,
    MeasuredFile,
    measure_distances,
    measure_files,
    train_from_folders,
)
from tonearm.measures.chroma_similarity import chroma_similarity, mean_chroma_similarity
from tonearm.measures.clap_score import measure_clap_score, measure_clap_scores
from tonearm.measures.classifier import (
    Classifier,
    Prediction,
    load_classifier,
    measure_classifier,
    measure_classifiers,
    save_classifier,
    train_classifier,
)
from tonearm.measures.clipping import CLIPPING, measure_clipping
from tonearm.measures.comb_buzz import COMB_BUZZ, measure_comb_buzz
from tonearm.measures.crest_factor import CREST_FACTOR, measure_crest_factor
from tonearm.measures.dc_offset import DC_OFFSET, measure_dc_offset
from tonearm.measures.describe import Description, describe
from tonearm.measures.fad import FAD, measure_fad
from tonearm.measures.faults import faults
from tonearm.measures.held_tones import HELD_TONES, HeldTones, measure_held_tones
from tonearm.measures.high_frequency_ratio import HIGH_FREQUENCY_RATIO, measure_high_frequency_ratio
from tonearm.measures.kad import KAD, measure_kad
from tonearm.measures.key import KEY, KeyEstimate, measure_key
from tonearm.measures.loudness import LOUDNESS, measure_loudness
from tonearm.measures.loudness_range import LOUDNESS_RANGE, measure_loudness_range
from tonearm.measures.note_agreement import NoteAgreement, note_agreement, pitch_class_overlap
from tonearm.measures.notes import Notes, measure_notes
from tonearm.measures.onset_rate import ONSET_RATE, measure_onset_rate
from tonearm.measures.onset_rate_superflux import (
    ONSET_RATE_SUPERFLUX,
    measure_onset_rate_superflux,
)
from tonearm.measures.peak import PEAK, measure_peak
from tonearm.measures.pulse_clarity import PULSE_CLARITY, measure_pulse_clarity
from tonearm.measures.silence import SILENCE, measure_silence
from tonearm.measures.spectral_centroid import SPECTRAL_CENTROID, measure_spectral_centroid
from tonearm.measures.spectral_rolloff import SPECTRAL_ROLLOFF, measure_spectral_rolloff
from tonearm.measures.static import STATIC, measure_static
from tonearm.measures.tags import Tags, measure_tags
from tonearm.measures.tempo import TEMPO, TempoEstimate, fitted_bpm, measure_tempo, median_bpm
from tonearm.measures.tempo_accuracy import TempoAccuracy, is_right_tempo, tempo_accuracy
from tonearm.measures.true_peak import TRUE_PEAK, measure_true_peak
from tonearm.measures.zero_shot import ZeroShot, measure_zero_shot, measure_zero_shots

# In the order of every output.
REGISTERED = (
    TEMPO,
    PULSE_CLARITY,
    SPECTRAL_CENTROID,
    SPECTRAL_ROLLOFF,
    HIGH_FREQUENCY_RATIO,
    LOUDNESS,
    LOUDNESS_RANGE,
    PEAK,
    TRUE_PEAK,
    CREST_FACTOR,
    ONSET_RATE,
    ONSET_RATE_SUPERFLUX,
    HELD_TONES,
    STATIC,
    COMB_BUZZ,
    SILENCE,
    CLIPPING,
    DC_OFFSET,
    KEY,
)
for _measure in REGISTERED:
    register(_measure)

__all__ = [
    "FAD",
    "KAD",
    "ClapScoring",
    "Classifier",
    "ClipAnalysis",
    "Description",
    "HeldTones",
    "KeyEstimate",
    "Measure",
    "MeasuredFile",
    "Measurement",
    "NoteAgreement",
    "Notes",
    "Prediction",
    "Tags",
    "TempoAccuracy",
    "TempoEstimate",
    "ZeroShot",
    "chroma_similarity",
    "describe",
    "faults",
    "fitted_bpm",
    "is_right_tempo",
    "load_classifier",
    "mean_chroma_similarity",
    "measure_clap_score",
    "measure_clap_scores",
    "measure_classifier",
    "measure_classifiers",
    "measure_clipping",
    "measure_comb_buzz",
    "measure_crest_factor",
    "measure_dc_offset",
    "measure_distances",
    "measure_fad",
    "measure_files",
    "measure_held_tones",
    "measure_high_frequency_ratio",
    "measure_kad",
    "measure_key",
    "measure_loudness",
    "measure_loudness_range",
    "measure_notes",
    "measure_onset_rate",
    "measure_onset_rate_superflux",
    "measure_peak",
    "measure_pulse_clarity",
    "measure_silence",
    "measure_spectral_centroid",
    "measure_spectral_rolloff",
    "measure_static",
    "measure_tags",
    "measure_tempo",
    "measure_true_peak",
    "measure_zero_shot",
    "measure_zero_shots",
    "measures",
    "median_bpm",
    "note_agreement",
    "pitch_class_overlap",
    "register",
    "save_classifier",
    "tempo_accuracy",
    "train_classifier",
    "train_from_folders",
]
