"""What the shipped ears can do, asked on music that they have never heard: numbers only, card.py writes them down.

The judge answers zero-shot questions, with the plain word of each value. Tempo accuracy is that of Gouyon et al. 2006 (4 %), the beat F-measure mir_eval's (70 ms); beats of the first five seconds count too.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mir_eval
import numpy as np

from recipes.evaluators.captions import ATTRIBUTES, plain
from recipes.evaluators.corpus import FIRST_SEED, compose, load_codec
from recipes.evaluators.features import WINDOW_SECONDS
from recipes.evaluators.render import SAMPLE_RATE, render, through_codec
from recipes.evaluators.scores import Score
from recipes.pocket import vocabulary
from recipes.pocket.compose import BEAT_FRAMES, FRAME_RATE
from recipes.pocket.render import Renderer
from tonearm.audio import Clip
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.clap import ClapEvaluator
from tonearm.generation.request import TakeRequest
from tonearm.measures.tempo import TempoEstimate, fitted_bpm, measure_tempo
from tonearm.measures.tempo_accuracy import tempo_accuracy
from tonearm.measures.zero_shot import TEMPLATE
from tonearm.model import Model
from tonearm.stats import Share

FRAMES = int(WINDOW_SECONDS * FRAME_RATE)
CODEC_BATCH = 10
QUIETER_DB = -20.0
TAKE_SEED = 70_000
# What the free recordings beside the notes are known to be at, in BPM; None where there is no fixed tempo.
KNOWN_BPM = {"loop_amen_full": 140.0, "loop_compus": 148.0, "loop_mika": 120.0, "brahms_hungarian_dance_5": None}


@dataclass(frozen=True)
class Heard:
    """One clip with its truth; `copies` are the same music as rendered, as decoded, and quieter."""

    score: Score
    copies: dict[str, Clip]


def answers_to(attribute: str, judge: ClapEvaluator, embedded: np.ndarray) -> list[str]:
    """The value of `attribute` whose question each clip is nearest to; `embedded` is [clips, D]."""
    values = list(ATTRIBUTES[attribute])
    texts = judge.embed_texts([TEMPLATE.format(plain(attribute, value)) for value in values])
    return [values[i] for i in (embedded @ texts.T).argmax(1)]


def unseen(kind: str, clips: int) -> list[Heard]:
    """Freshly rendered pieces: seeds and, for performances, chord progressions of their own."""
    renderer, codec = Renderer(sample_rate=SAMPLE_RATE), load_codec()
    heard = []
    for start in range(0, clips, CODEC_BATCH):
        seeds = range(start, min(start + CODEC_BATCH, clips))
        scores = [compose(kind, "test", FIRST_SEED["test"] + seed, FRAMES) for seed in seeds]
        rendered = [render(renderer, score, FRAMES) for score in scores]
        for score, clip, decoded in zip(scores, rendered, through_codec(codec, rendered), strict=True):
            quieter = Clip(clip.samples * 10 ** (QUIETER_DB / 20), clip.sample_rate)
            heard.append(Heard(score, {"rendered": clip, "decoded": decoded, "quieter": quieter}))
    return heard


def examine_judge(judge: ClapEvaluator, heard: Sequence[Heard]) -> tuple[dict, dict]:
    """Shares of questions answered right, by copy and attribute; and confusions of genre and lead, rows are the truth."""
    shares: dict[str, dict] = {}
    confusions: dict[str, dict] = {}
    for copy in heard[0].copies:
        embedded = judge.embed([h.copies[copy] for h in heard])
        shares[copy] = {}
        for attribute in ATTRIBUTES:
            rows = [i for i, h in enumerate(heard) if attribute in h.score.labels]
            truths = [str(heard[i].score.labels[attribute]) for i in rows]
            shares[copy][attribute] = share(answers_to(attribute, judge, embedded[rows]), truths)
            if attribute in ("genre", "lead"):
                answers = answers_to(attribute, judge, embedded[rows])
                confusions.setdefault(copy, {})[attribute] = confusion(attribute, answers, truths)
    return shares, confusions


def examine_judge_on_takes(judge: ClapEvaluator, model: Model, takes: int) -> tuple[dict, dict]:
    """pocket's own takes, asked for by a word: what the judge hears is bounded by what pocket does with the word."""
    rng = np.random.default_rng(7)
    genres, leads = list(vocabulary.GENRE), list(vocabulary.LEAD)
    asked = [(genres[i % len(genres)], leads[i % len(leads)]) for i in range(2 * takes)]
    clips = make(model, [f"a {genre} {rng.choice(vocabulary.FORM[:8])} with {lead}" for genre, lead in asked])
    embedded = judge.embed(clips)
    shares, confusions = {}, {}
    for attribute, truths in zip(("genre", "lead"), map(list, zip(*asked, strict=True)), strict=True):
        answers = answers_to(attribute, judge, embedded)
        shares[attribute] = share(answers, truths)
        confusions[attribute] = confusion(attribute, answers, truths)
    for attribute, pair in {
        "brightness": ("dark", "bright"), "tempo": ("slow", "fast"), "density": ("sparse", "dense"),
        "energy": ("calm", "energetic"), "mode": ("major", "minor"),
    }.items():  # fmt: skip
        truths, texts = [], []
        for i in range(takes):
            value = pair[i % 2]
            word = ATTRIBUTES[attribute][value][0]
            scene = f"{rng.choice(genres)} {rng.choice(vocabulary.FORM[:8])}"
            truths.append(value)
            texts.append(f"a {scene} {word}" if attribute == "mode" else f"a {word} {scene}")
        answers = answers_to(attribute, judge, judge.embed(make(model, texts)))
        shares[attribute] = share(answers, truths)
    return shares, confusions


def examine_beats(trackers: Sequence[BeatTracker], heard: Sequence[Heard]) -> dict:
    """Tempo accuracies and beat F-measure, by tracker and copy."""
    truths = [np.array(h.score.beats) for h in heard]
    bpms = [fitted_bpm(beats) for beats in truths]
    kept = [i for i, bpm in enumerate(bpms) if bpm is not None]
    results: dict[str, dict] = {}
    for tracker in trackers:
        results[tracker.name] = {}
        for copy in ("rendered", "decoded"):
            estimates = [measure_tempo(heard[i].copies[copy], tracker) for i in kept]
            scores = [
                mir_eval.beat.f_measure(truths[i], np.array(e.beats)) for i, e in zip(kept, estimates, strict=True)
            ]
            results[tracker.name][copy] = _accuracy(estimates, [bpms[i] for i in kept]) | {"f_measure": mean(scores)}
    return results


def examine_beats_on_takes(trackers: Sequence[BeatTracker], model: Model, takes: int) -> dict:
    """pocket's own takes, asked for at one of its tempos: how often the tempo read is the tempo asked for, and how steady the beats are."""
    tempos = [60 * FRAME_RATE / n for frames in BEAT_FRAMES.values() for n in frames]
    asked = [tempos[i % len(tempos)] for i in range(takes)]
    rng = np.random.default_rng(8)
    texts = [
        f"a {rng.choice(list(vocabulary.GENRE))} {rng.choice(vocabulary.FORM[:8])} at {round(bpm)} bpm" for bpm in asked
    ]
    clips = make(model, texts)
    results = {}
    for tracker in trackers:
        estimates = [measure_tempo(clip, tracker) for clip in clips]
        steady = [e.steadiness for e in estimates if e.steadiness is not None]
        results[tracker.name] = _accuracy(estimates, asked) | {
            "with_beats": asdict(Share.of(len(steady), len(estimates))), "steadiness": mean(steady)
        }  # fmt: skip
    return results


def examine_recordings(trackers: Sequence[BeatTracker], folder: Path) -> dict:
    """Free recordings of known tempo, never trained on."""
    files = [path for path in sorted(folder.iterdir()) if path.stem in KNOWN_BPM]
    return {
        path.stem: {
            "known_bpm": KNOWN_BPM[path.stem],
            "seconds": Clip.read(path).seconds,
            **{tracker.name: _read(measure_tempo(Clip.read(path), tracker)) for tracker in trackers},
        }
        for path in files
    }


def make(model: Model, texts: Sequence[str]) -> list[Clip]:
    """pocket's takes of ten seconds, one a text."""
    rows = [TakeRequest(text, TAKE_SEED + i, seconds=float(WINDOW_SECONDS)) for i, text in enumerate(texts)]
    return [take.clip for take in model.takes(rows, batch_size=25)]


def share(answers: Sequence[str], truths: Sequence[str]) -> dict:
    return asdict(Share.of(sum(a == t for a, t in zip(answers, truths, strict=True)), len(truths)))


def confusion(attribute: str, answers: Sequence[str], truths: Sequence[str]) -> list[list[int]]:
    values = list(ATTRIBUTES[attribute])
    counts = np.zeros((len(values), len(values)), int)
    for answer, true in zip(answers, truths, strict=True):
        counts[values.index(true), values.index(answer)] += 1
    return counts.tolist()


def mean(values: Sequence[float]) -> dict:
    """With its 95 % interval, 1.96 standard errors to either side."""
    reach = 1.96 * np.std(values, ddof=1) / np.sqrt(len(values))
    middle = float(np.mean(values))
    return {"value": middle, "low": middle - float(reach), "high": middle + float(reach), "n": len(values)}


def _accuracy(estimates: Sequence[TempoEstimate], true: Sequence[float | None]) -> dict:
    accuracy = tempo_accuracy([e.bpm for e in estimates], [bpm for bpm in true if bpm is not None])
    return {"accuracy_1": asdict(accuracy.accuracy_1), "accuracy_2": asdict(accuracy.accuracy_2)}


def _read(estimate: TempoEstimate) -> dict:
    return {"bpm": estimate.bpm, "beats": len(estimate.beats), "steadiness": estimate.steadiness}
