"""Evaluation of pocket on held-out pieces, seeds and captions.

It returns numbers only; model_card.py formats them.
"""

import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path

import librosa
import numpy as np
import torch

import tonearm
from recipes.pocket import vocabulary
from recipes.pocket.corpus import as_float, as_int16, load_audio
from recipes.pocket.encode import codes_path
from recipes.pocket.instrument_classifier import (
    BATCH,
    CROP,
    InstrumentClassifier,
    predict_labels,
    train_classifier,
)
from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import FRAME_RATE
from tonearm.evaluators.load import load_tracker
from tonearm.generation.request import TakeRequest
from tonearm.generation.take import Take
from tonearm.measures import (
    TempoEstimate,
    faults,
    is_right_tempo,
    measure_onset_rate,
    measure_spectral_centroid,
    measure_tempo,
)
from tonearm.measures.key import mean_chroma
from tonearm.model import Model
from tonearm.musicgen.codec import decode_codes
from tonearm.stats.share import Share

FIRST_SEED = 50_000
PROMPTED_BPM = (60, 180)
TEMPO_TOLERANCE = 0.08
MELODY_SECONDS = 0.128
STEPS_PER_SECOND, BEAT_WINDOW = 100, 500  # of onset strength; the window is in steps
CLASSIFIER_STEPS = 1_000
TRACKERS = ("librosa", "bundled")


@dataclass(frozen=True)
class ClipMeasures:
    """Measures of one clip."""

    tempo: dict[str, TempoEstimate]  # by tracker
    centroid: float | None  # Hz
    onset_rate: float | None  # per second
    faulty: bool  # has any of `tonearm.measures.faults`

    def bpm(self, tracker: str) -> float | None:
        return self.tempo[tracker].bpm


tracker = cache(load_tracker)  # cached per process, since it reads a checkpoint
pocket = cache(partial(tonearm.load, device="cpu"))  # likewise


def measure_clip(clip: Clip) -> ClipMeasures:
    """Compute the measures of a clip."""
    return ClipMeasures(
        {name: measure_tempo(clip, tracker(name)) for name in TRACKERS},
        measure_spectral_centroid(clip).value,
        measure_onset_rate(clip).value,
        bool(faults(clip)),
    )


def workers(processes: int) -> ProcessPoolExecutor:
    """Return a pool of processes of one thread each."""
    return ProcessPoolExecutor(processes, get_context("spawn"), torch.set_num_threads, (1,))


def measure_clips(clips: Sequence[Clip], processes: int) -> list[ClipMeasures]:
    """Compute the measures of clips in several processes."""
    with workers(processes) as pool:
        return list(pool.map(measure_clip, clips, chunksize=8))


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


def held_out_pairs(model: Model, out: Path, pieces: int) -> Iterator[tuple[Clip, Clip]]:
    """Yield held-out pieces, rendered and decoded by the codec."""
    audio = load_audio(out / "corpus", "held-out", 0)[:pieces]
    codes = np.load(codes_path(out, "held-out", 0))[:pieces].astype(np.int64)
    for samples, piece in zip(audio, codes, strict=True):
        yield (
            Clip(as_float(samples), model.shape.sample_rate),
            decode_codes(model.checkpoint, torch.from_numpy(piece)),
        )


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


def scene(index: int, word: str = "", tail: str = "") -> str:
    """Return a caption with genre, form and lead drawn by index.

    Its seeds are held out, its words are not.
    """
    rng = np.random.default_rng((7, index))
    genre, lead = (
        rng.choice([s[0] for s in vocabulary.GENRE.values()]),
        rng.choice([s[0] for s in vocabulary.LEAD.values()]),
    )
    form = rng.choice(vocabulary.FORM[:8])
    return f"a {word + ' ' if word else ''}{genre} {form} with {lead}{tail and ' ' + tail}"


def generate_takes(model: Model, texts: Sequence[str], seconds: float = 10.0) -> list[Take]:
    """Generate a take per text, with seeds from FIRST_SEED."""
    return list(
        model.generate_batch(
            [TakeRequest(text, FIRST_SEED + i, seconds=seconds) for i, text in enumerate(texts)],
            batch_size=32,
        )
    )


def prompted_bpms(takes: int) -> list[int]:
    """Return whole BPM numbers, evenly spaced in ratio over PROMPTED_BPM."""
    return [round(bpm) for bpm in np.geomspace(PROMPTED_BPM[0], PROMPTED_BPM[-1], takes)]


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


def mean(values: Sequence[float | None]) -> float:
    return statistics.fmean(value for value in values if value is not None)


def decoded_corpus(out: Path, split: str, shards: Iterable[int], processes: int) -> np.ndarray:
    """Decode shards with the codec.

    Args:
        out: folder with `codes/`.
        split: train or held-out.
        shards: indices of shards.
        processes: number of worker processes.

    Returns:
        int16 [pieces, samples].
    """
    with workers(processes) as pool:
        return np.concatenate(list(pool.map(partial(_decoded_shard, out, split), shards)))


def _decoded_shard(out: Path, split: str, shard: int) -> np.ndarray:
    checkpoint = pocket().checkpoint
    codes = np.load(codes_path(out, split, shard)).astype(np.int64)
    return np.stack(
        [as_int16(decode_codes(checkpoint, torch.from_numpy(piece)).mono) for piece in codes]
    )


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
