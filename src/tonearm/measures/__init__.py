"""Measures: what can be told of a clip, or of many. One measure, one file; none knows of MusicGen."""

from tonearm.measures.agreement import measure_agreement, measure_agreements
from tonearm.measures.beat_this import BeatThisTracker
from tonearm.measures.brightness import measure_brightness, measure_high_energy, measure_rolloff
from tonearm.measures.cache import CachedEmbedder, CachedJudge
from tonearm.measures.clap import ClapJudge
from tonearm.measures.classifier import (
    Classifier,
    Verdict,
    load_classifier,
    measure_classifier,
    measure_classifiers,
    save_classifier,
    train_classifier,
)
from tonearm.measures.clusters import Clusters, measure_clusters
from tonearm.measures.description import Description, describe
from tonearm.measures.dynamics import measure_crest, measure_loudness_range
from tonearm.measures.ears import open_judge, open_tracker
from tonearm.measures.embedding import Embedder, EmbeddingSet
from tonearm.measures.faults import faults, measure_clipped, measure_dc_offset, measure_silence
from tonearm.measures.frechet import FrechetDistance, measure_frechet
from tonearm.measures.judge import Judge
from tonearm.measures.kernel_distance import KernelDistance, measure_kernel_distance
from tonearm.measures.key import KeyEstimate, measure_key
from tonearm.measures.loudness import measure_loudness, measure_peak, measure_true_peak
from tonearm.measures.measurement import Measurement
from tonearm.measures.onsets import measure_onset_rate
from tonearm.stats import Share
from tonearm.measures.tempo import BeatTracker, LibrosaTracker, TempoEstimate, fitted_bpm, measure_tempo, median_bpm
from tonearm.measures.tempo_accuracy import TempoAccuracy, is_right_tempo, tempo_accuracy
from tonearm.measures.zero_shot import ZeroShot, measure_zero_shot, measure_zero_shots

__all__ = [
    "BeatThisTracker",
    "BeatTracker",
    "CachedEmbedder",
    "CachedJudge",
    "ClapJudge",
    "Classifier",
    "Clusters",
    "Description",
    "Embedder",
    "EmbeddingSet",
    "FrechetDistance",
    "Judge",
    "KernelDistance",
    "KeyEstimate",
    "LibrosaTracker",
    "Measurement",
    "Share",
    "TempoAccuracy",
    "TempoEstimate",
    "Verdict",
    "ZeroShot",
    "describe",
    "faults",
    "fitted_bpm",
    "is_right_tempo",
    "load_classifier",
    "measure_agreement",
    "measure_agreements",
    "measure_brightness",
    "measure_classifier",
    "measure_classifiers",
    "measure_clipped",
    "measure_clusters",
    "measure_crest",
    "measure_dc_offset",
    "measure_frechet",
    "measure_high_energy",
    "measure_kernel_distance",
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
    "open_judge",
    "open_tracker",
    "save_classifier",
    "tempo_accuracy",
    "train_classifier",
]
