"""Measures of pocket's model card: of clips, and by the instrument classifier.

They return numbers only; card_rows.py and card_codec.py format them.
"""

import statistics
import time
from collections.abc import Iterable, Sequence

import librosa
import numpy as np

from recipes.pocket.instrument_classifier import (
    BATCH,
    CROP,
    InstrumentClassifier,
    predict_labels,
    train_classifier,
)
from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import FRAME_RATE
from tonearm.measures import is_right_tempo
from tonearm.measures.key import mean_chroma
from tonearm.model import Model
from tonearm.stats.share import Share
from tonearm.studies.measure_groups import MeasureRequest, group
from tonearm.studies.records import Record

GROUPS = ("signal", "beats")  # of measures, of takes and of pieces
TEMPO = {"librosa": "tempo", "bundled": "bundled_tempo"}  # measure of a record, by tracker
TEMPO_TOLERANCE = 0.08
MELODY_SECONDS = 0.128
STEPS_PER_SECOND, BEAT_WINDOW = 100, 500  # of onset strength; the window is in steps
CLASSIFIER_STEPS = 1_000


def measure_clips(clips: Sequence[Clip]) -> list[Record]:
    """Measure pieces and parts of takes by the groups that measure takes."""
    requests = [MeasureRequest(clip, "", "") for clip in clips]
    found = [group(name).measure(requests) for name in GROUPS]
    return [signal | beats for signal, beats in zip(*found, strict=True)]


def beat_share(clip: Clip, beat_frames: int) -> float:
    """Share of the variance of onset strength that is periodic with a given beat.

    `beat_frames` is the length of the beat in codec frames.

    It is 1 if all beats are alike and about 0 if there is no such beat. It tests one beat length
    and needs no tracker. Mean over windows of BEAT_WINDOW, corrected for chance; 0 for a silent
    clip. The clip must be at least 5 s long.
    """
    hop = clip.sample_rate // STEPS_PER_SECOND
    strength = librosa.onset.onset_strength(
        y=clip.mono, sr=clip.sample_rate, hop_length=hop, n_fft=512, n_mels=40
    )
    beat = beat_frames * STEPS_PER_SECOND // FRAME_RATE
    beats = BEAT_WINDOW // beat
    shares = []
    for begin in range(0, len(strength) - BEAT_WINDOW + 1, BEAT_WINDOW // 2):
        folded = strength[begin : begin + beats * beat].reshape(beats, beat)
        folded_variance_share = folded.mean(0).var() / folded.var() if folded.any() else 1 / beats
        shares.append((folded_variance_share - 1 / beats) / (1 - 1 / beats))
    return float(np.mean(shares))


def chroma_correlation(original: Clip, decoded: Clip) -> float:
    """Correlation of the constant-Q chromagrams of two clips, over classes and frames."""
    pair = [
        librosa.feature.chroma_cqt(y=clip.mono, sr=clip.sample_rate) for clip in (original, decoded)
    ]
    return float(np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1])


def is_same_tempo(before: float | None, after: float | None, any_octave: bool = False) -> bool:
    """Return whether two tempo estimates agree, optionally in any octave."""
    return before is not None and is_right_tempo(after, before, any_octave)


def with_noise(clip: Clip, decibels: float, seed: int) -> Clip:
    """Add white noise at `decibels` relative to the clip's level.

    The change of a measure under it is its own instability.
    """
    noise = np.random.default_rng(seed).standard_normal(len(clip.mono)).astype(np.float32)
    return Clip(clip.mono + noise * clip.mono.std() * 10 ** (decibels / 20), clip.sample_rate)


def chroma_similarity(one: Clip, other: Clip) -> float:
    """Correlation of the mean chroma of two clips; 0 if one is silent."""
    first, second = mean_chroma(one), mean_chroma(other)
    return 0.0 if first is None or second is None else float(np.corrcoef(first, second)[0, 1])


def melody_share(melody: np.ndarray, clip: Clip) -> float:
    """Share of melody frames whose pitch class is among the clip's three strongest.

    Chance is a quarter.

    Args:
        melody: pitch class per frame of MELODY_SECONDS, [T].
        clip: the clip to compare.

    Returns:
        Share, 0 to 1.
    """
    # the constant-Q transform halves its hop per octave
    hop = round(MELODY_SECONDS * clip.sample_rate / 64) * 64
    chroma = librosa.feature.chroma_cqt(y=clip.mono, sr=clip.sample_rate, hop_length=hop)
    frames = min(len(melody), chroma.shape[1])
    strongest = np.argsort(chroma[:, :frames], axis=0)[-3:]
    return float((strongest == melody[:frames]).any(0).mean())


def excerpt(clip: Clip, begin: float, end: float) -> Clip:
    """Return the part from `begin` to `end` seconds."""
    return Clip(
        clip.samples[:, round(begin * clip.sample_rate) : round(end * clip.sample_rate)],
        clip.sample_rate,
    )


def level_db(clip: Clip) -> float:
    """RMS level in dBFS."""
    return float(20 * np.log10(np.sqrt(np.mean(clip.samples**2)) + 1e-9))


def share_within_tolerance(
    read: Sequence[float | None], prompted: Sequence[float], folds: Sequence[float] = (1,)
) -> Share:
    """Share of clips within TEMPO_TOLERANCE of the prompted tempo.

    Args:
        read: estimated BPM per clip; None counts as wrong.
        prompted: BPM in the prompt.
        folds: multiples of the prompted tempo that also count.

    Returns:
        The share with its interval.
    """
    right = [
        bool(bpm) and min(abs(bpm / (fold * wanted) - 1) for fold in folds) < TEMPO_TOLERANCE
        for bpm, wanted in zip(read, prompted, strict=True)
    ]
    return Share.of(sum(right), len(right))


def train_instrument_classifier(
    decoded: np.ndarray, labels: Sequence[dict]
) -> InstrumentClassifier:
    """Train a classifier on the decoded corpus only."""

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, list[dict]]:
        rows = rng.integers(len(decoded), size=BATCH)
        begins = rng.integers(decoded.shape[1] - CROP + 1, size=BATCH)
        crops = [
            decoded[row, begin : begin + CROP] for row, begin in zip(rows, begins, strict=True)
        ]
        return np.stack(crops), [labels[row] for row in rows]

    return train_classifier(draw, labels, CLASSIFIER_STEPS)


def classification_accuracy(
    classifier: InstrumentClassifier, clips: Iterable[np.ndarray], label: str, truth: Sequence[str]
) -> Share:
    """Share of clips whose label is predicted right.

    Args:
        classifier: trained classifier.
        clips: int16 [samples] each.
        label: genre, lead or mode.
        truth: true value per clip.

    Returns:
        The share with its interval.
    """
    predicted = [predict_labels(classifier, samples[None])[0][label] for samples in clips]
    return Share.of(
        sum(one == right for one, right in zip(predicted, truth, strict=True)), len(truth)
    )


def seconds_for_a_clip(model: Model, times: int = 3) -> float:
    """Median time to generate one 10-s clip."""
    measured = []
    for seed in range(times):
        began = time.perf_counter()
        model.generate("a folk tune with flute", seconds=10, seed=seed)
        measured.append(time.perf_counter() - began)
    return statistics.median(measured)
