"""Evaluation of the bundled evaluators on unseen music; numbers only, model_card.py formats them.

The CLAP model answers zero-shot questions with the plain word of each value. Tempo accuracy is that
of Gouyon et al. 2006 (4 %). The beat F-measure is mir_eval's (70 ms), with the beats of the first
five seconds included.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mir_eval
import numpy as np

from recipes.evaluators.captions import ATTRIBUTES, plain_word
from recipes.evaluators.corpus import FIRST_SEED, compose, load_codec
from recipes.evaluators.features import WINDOW_SECONDS
from recipes.evaluators.render import SAMPLE_RATE, render, through_codec
from recipes.evaluators.scores import Score
from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import FRAME_RATE
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.clap import ClapEvaluator
from tonearm.evaluators.load import load_tracker
from tonearm.measures.tempo import TempoEstimate, fitted_bpm, measure_tempo
from tonearm.measures.tempo_accuracy import tempo_accuracy
from tonearm.measures.zero_shot import TEMPLATE
from tonearm.stats.share import Share
from tonearm.studies.records import Record, values_of

FRAMES = int(WINDOW_SECONDS * FRAME_RATE)
CODEC_BATCH = 10
QUIETER_DB = -20.0
CONFUSED = ("genre", "lead")  # attributes with confusion matrices
# BPM of the free recordings; None where the tempo is not fixed.
KNOWN_BPM = {
    "loop_amen_full": 140.0,
    "loop_compus": 148.0,
    "loop_mika": 120.0,
    "brahms_hungarian_dance_5": None,
}


@dataclass(frozen=True)
class UnseenClip:
    """One score and its audio; `copies` are rendered, decoded and quieter."""

    score: Score
    copies: dict[str, Clip]


def predict_values(attribute: str, evaluator: ClapEvaluator, embedded: np.ndarray) -> list[str]:
    """Predict the value of an attribute for each clip.

    Args:
        attribute: key of ATTRIBUTES.
        evaluator: CLAP model.
        embedded: audio embeddings, [clips, D].

    Returns:
        The value whose question is nearest, per clip.
    """
    values = list(ATTRIBUTES[attribute])
    texts = evaluator.embed_texts(
        [TEMPLATE.format(plain_word(attribute, value)) for value in values]
    )
    return [values[i] for i in (embedded @ texts.T).argmax(1)]


def render_unseen(kind: str, clips: int) -> list[UnseenClip]:
    """Render pieces with seeds and, for performances, progressions outside the training data."""
    renderer, codec = Renderer(sample_rate=SAMPLE_RATE), load_codec()
    unseen = []
    for start in range(0, clips, CODEC_BATCH):
        seeds = range(start, min(start + CODEC_BATCH, clips))
        scores = [compose(kind, "test", FIRST_SEED["test"] + seed, FRAMES) for seed in seeds]
        rendered = [render(renderer, score, FRAMES) for score in scores]
        for score, clip, decoded in zip(
            scores, rendered, through_codec(codec, rendered), strict=True
        ):
            quieter = Clip(clip.samples * 10 ** (QUIETER_DB / 20), clip.sample_rate)
            unseen.append(
                UnseenClip(score, {"rendered": clip, "decoded": decoded, "quieter": quieter})
            )
    return unseen


def evaluate_clap(evaluator: ClapEvaluator, clips: Sequence[UnseenClip]) -> tuple[dict, dict]:
    """Evaluate zero-shot classification.

    Args:
        evaluator: CLAP model.
        clips: unseen clips.

    Returns:
        Accuracy by copy and attribute; confusion matrices of genre and lead by copy, rows are the
        truth.
    """
    shares: dict[str, dict] = {}
    confusions: dict[str, dict] = {}
    for copy in clips[0].copies:
        embedded = evaluator.embed([clip.copies[copy] for clip in clips])
        shares[copy] = {}
        for attribute in ATTRIBUTES:
            rows = [i for i, clip in enumerate(clips) if attribute in clip.score.labels]
            truths = [str(clips[i].score.labels[attribute]) for i in rows]
            shares[copy][attribute] = share(
                predict_values(attribute, evaluator, embedded[rows]), truths
            )
            if attribute in CONFUSED:
                answers = predict_values(attribute, evaluator, embedded[rows])
                confusions.setdefault(copy, {})[attribute] = confusion(attribute, answers, truths)
    return shares, confusions


def evaluate_clap_on_takes(
    evaluator: ClapEvaluator, records: Sequence[Record]
) -> tuple[dict, dict]:
    """Evaluate zero-shot classification of pocket's takes against the words in their prompt.

    The accuracy is bounded by pocket's own response to the words. A silent take has no embedding
    and is left out.

    Args:
        evaluator: CLAP model, which made the embeddings.
        records: of takes, with the values in their prompt by attribute as `truth`.

    Returns:
        Accuracy by attribute; confusion matrices of genre and lead.
    """
    shares, confusions = {}, {}
    sounding = [record for record in records if record["embedding"] is not None]
    for attribute in dict.fromkeys(name for record in sounding for name in record["truth"]):
        takes = [record for record in sounding if attribute in record["truth"]]
        truths = [record["truth"][attribute] for record in takes]
        embedded = np.array([record["embedding"] for record in takes])
        answers = predict_values(attribute, evaluator, embedded)
        shares[attribute] = share(answers, truths)
        if attribute in CONFUSED:
            confusions[attribute] = confusion(attribute, answers, truths)
    return shares, confusions


def evaluate_beat_trackers(trackers: Sequence[BeatTracker], clips: Sequence[UnseenClip]) -> dict:
    """Return tempo accuracies and beat F-measure, by tracker and copy."""
    truths = [np.array(clip.score.beats) for clip in clips]
    kept = {i: bpm for i, beats in enumerate(truths) if (bpm := fitted_bpm(beats)) is not None}
    results: dict[str, dict] = {}
    for tracker in trackers:
        results[tracker.name] = {}
        for copy in ("rendered", "decoded"):
            estimates = [measure_tempo(clips[i].copies[copy], tracker) for i in kept]
            scores = [
                mir_eval.beat.f_measure(truths[i], np.array(e.beats))
                for i, e in zip(kept, estimates, strict=True)
            ]
            bpms = [estimate.bpm for estimate in estimates]
            results[tracker.name][copy] = _accuracy(bpms, list(kept.values())) | {
                "f_measure": mean(scores)
            }
    return results


def evaluate_beat_trackers_on_takes(
    records: Sequence[Record], clip: Callable[[Record], Clip]
) -> dict:
    """Compare the tempo of pocket's takes with the BPM value in their prompt.

    Args:
        records: of takes, with the `bpm` in their prompt.
        clip: reads the audio of a record, for the beats of the bundled tracker, of which a record
            has the tempo alone.

    Returns:
        By tracker: tempo accuracies, share of takes with a regularity, and the regularity of their
            beats.
    """
    bundled, librosa = load_tracker("bundled"), load_tracker("librosa")
    prompted = [record["bpm"] for record in records]
    estimates = [measure_tempo(clip(record), bundled) for record in records]
    results = {}
    for tracker, tempo, regularities in (
        (bundled, "bundled_tempo", [e.beat_regularity for e in estimates]),
        (librosa, "tempo", values_of(records, "beat_regularity")),
    ):
        known = [value for value in regularities if value is not None]
        results[tracker.name] = _accuracy(values_of(records, tempo), prompted) | {
            "with_beats": asdict(Share.of(len(known), len(records))),
            "beat_regularity": mean(known),
        }
    return results


def evaluate_recordings(trackers: Sequence[BeatTracker], folder: Path) -> dict:
    """Return the tempo of free recordings of known tempo; none of them was trained on."""
    files = [path for path in sorted(folder.iterdir()) if path.stem in KNOWN_BPM]
    return {
        path.stem: {
            "known_bpm": KNOWN_BPM[path.stem],
            "seconds": Clip.read(path).seconds,
            **{
                tracker.name: _read(measure_tempo(Clip.read(path), tracker)) for tracker in trackers
            },
        }
        for path in files
    }


def share(answers: Sequence[str], truths: Sequence[str]) -> dict:
    return asdict(Share.of(sum(a == t for a, t in zip(answers, truths, strict=True)), len(truths)))


def confusion(attribute: str, answers: Sequence[str], truths: Sequence[str]) -> list[list[int]]:
    values = list(ATTRIBUTES[attribute])
    counts = np.zeros((len(values), len(values)), int)
    for answer, true in zip(answers, truths, strict=True):
        counts[values.index(true), values.index(answer)] += 1
    return counts.tolist()


def mean(values: Sequence[float]) -> dict:
    """Return the mean with its 95 % interval: 1.96 standard errors to either side."""
    reach = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
    middle = float(np.mean(values))
    return {
        "value": middle,
        "low": middle - float(reach),
        "high": middle + float(reach),
        "n": len(values),
    }


def _accuracy(read: Sequence[float | None], true: Sequence[float]) -> dict:
    accuracy = tempo_accuracy(read, true)
    return {"accuracy_1": asdict(accuracy.accuracy_1), "accuracy_2": asdict(accuracy.accuracy_2)}


def _read(estimate: TempoEstimate) -> dict:
    regularity = estimate.beat_regularity
    return {"bpm": estimate.bpm, "beats": len(estimate.beats), "beat_regularity": regularity}
