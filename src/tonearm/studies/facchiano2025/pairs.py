"""Every shipped pair by a classifier of its own prompts' takes, and by every measure (leakage)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import ttest_rel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tonearm.stats.discoveries import discoveries
from tonearm.stats.effect import Effect, effect
from tonearm.stats.share import Share
from tonearm.studies.facchiano2025.design import EQUAL_DIVERGENCE
from tonearm.studies.facchiano2025.rows import Row, by_condition, row_of
from tonearm.studies.records import Record, select

LEAKAGE_MEASURES = (
    "bundled_tempo",
    "onset_rate",
    "spectral_centroid",
    "loudness",
    "pulse_clarity",
    "clap_score",
)
LEAKAGE_TAGS = ("fast", "slow", "loud", "soft", "classical", "techno", "rock", "flute", "cello")


@dataclass(frozen=True)
class PairRow:
    """One sign of a pair, by a classifier of its own prompts' takes.

    accuracy  of the classifier on takes of prompts that did not train it
    change    of the mean probability of the positive pole, steered against plain
    word      the same by the word in the prompt; None where the pole has no word
    random    the same by each random direction of equal divergence, with the pair's sign
    certain   after control of the false discovery rate over all pairs and signs
    """

    pair: str
    sign: str
    strength: float
    accuracy: Share
    change: Effect
    word: Effect | None
    random: tuple[float, ...]
    certain: bool
    row: Row


@dataclass(frozen=True)
class Leakage:
    """Every vector and sign, and random directions, against every measure.

    rows, columns  labels
    values         changes over the standard deviation of the plain takes
    certain        after control of the false discovery rate over the whole matrix
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    certain: np.ndarray


def pair_rows(records: Sequence[Record]) -> list[PairRow]:
    """Rows of every pair and sign.

    Args:
        records: of the study.
    """
    plain = select(records, experiment="plain of pairs")
    worded, random = by_condition(records, "word of pair"), random_takes(records)
    classifiers = {
        pair: _classifier(select(records, experiment="prompted", pair=pair))
        for pair in dict.fromkeys(takes[0]["pair"] for takes in by_condition(records, "pairs"))
    }

    def change(pair: str, takes: Sequence[Record]) -> Effect:
        before, after = (_probabilities(classifiers[pair][0], some) for some in (plain, takes))
        return effect(before[: len(after)], after, "difference")

    sets = by_condition(records, "pairs")
    changes = [change(takes[0]["pair"], takes) for takes in sets]
    certain = discoveries(np.array([one.p for one in changes]))
    found = []
    for takes, moved, is_certain in zip(sets, changes, certain, strict=True):
        pair, sign = takes[0]["pair"], takes[0]["sign"]
        words = [one for one in worded if (one[0]["pair"], one[0]["sign"]) == (pair, sign)]
        found.append(
            PairRow(
                pair,
                sign,
                takes[0]["strength"],
                classifiers[pair][1],
                moved,
                change(pair, words[0]) if words else None,
                tuple(change(pair, one).change for one in random if one[0]["sign"] == sign),
                bool(is_certain),
                row_of(plain, takes, pair),
            )
        )
    return found


def random_takes(records: Sequence[Record]) -> list[list[Record]]:
    """Takes of each random direction and sign at equal divergence, on neutral prompts."""
    sets = by_condition(records, "neutral random", "rule", "draw")
    return [takes for takes in sets if takes[0]["rule"] == EQUAL_DIVERGENCE]


def _classifier(prompted: Sequence[Record]) -> tuple[Any, Share]:
    """Logistic regression of the pole on CLAP embeddings, and its accuracy in five folds.

    Line i of both poles describes one scene, so that both are in one fold.
    """
    sounding = [record for record in prompted if record["embedding"] is not None]
    x = np.array([record["embedding"] for record in sounding])
    y = np.array([record["sign"] == "+" for record in sounding])
    scenes = np.array([record["prompt"] for record in sounding])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    folds = min(5, len(set(scenes.tolist())))
    guessed = cross_val_predict(model, x, y, groups=scenes, cv=GroupKFold(folds))
    return model.fit(x, y), Share.of(int((guessed == y).sum()), len(y))


def _probabilities(classifier: Any, takes: Sequence[Record]) -> list[float | None]:
    return [
        None
        if record["embedding"] is None
        else float(classifier.predict_proba([record["embedding"]])[0, 1])
        for record in takes
    ]


def leakage_of(records: Sequence[Record]) -> Leakage:
    """Measure every vector and sign, and random directions at +, by every measure.

    Args:
        records: of the study.
    """
    plain = select(records, experiment="plain of pairs")
    sets = {
        f"{takes[0]['pair']} {takes[0]['sign']}": takes for takes in by_condition(records, "pairs")
    }
    sets |= {
        f"random {takes[0]['draw'] + 1} ({takes[0]['pair']})": takes
        for takes in random_takes(records)
        if takes[0]["sign"] == "+"
    }
    readers: Mapping[str, Callable[[Record], float | None]] = {
        **{name: _measure_reader(name) for name in LEAKAGE_MEASURES},
        **{f"tag {tag}": _tag_reader(tag) for tag in LEAKAGE_TAGS},
    }
    values, chances = [], []
    for takes in sets.values():
        pairs = [_paired(plain[: len(takes)], takes, read) for read in readers.values()]
        values.append([_standardised(*pair) for pair in pairs])
        chances.append([_chance(*pair) for pair in pairs])
    return Leakage(tuple(sets), tuple(readers), np.array(values), discoveries(np.array(chances)))


def _measure_reader(name: str) -> Callable[[Record], float | None]:
    return lambda record: record[name]["value"]


def _tag_reader(tag: str) -> Callable[[Record], float | None]:
    return lambda record: (record["tags"] or {}).get(tag)


def _paired(
    plain: Sequence[Record], takes: Sequence[Record], read: Callable[[Record], float | None]
) -> tuple[np.ndarray, np.ndarray]:
    both = [(read(a), read(b)) for a, b in zip(plain, takes, strict=True)]
    known = [(a, b) for a, b in both if a is not None and b is not None]
    before, after = np.array(known, dtype=float).reshape(-1, 2).T
    return before, after


def _standardised(before: np.ndarray, after: np.ndarray) -> float:
    spread = before.std(ddof=1) if len(before) > 1 else 0.0
    return float((after - before).mean() / spread) if spread else float("nan")


def _chance(before: np.ndarray, after: np.ndarray) -> float:
    if len(before) < 2 or not (after - before).std():
        return float("nan")
    return float(ttest_rel(after, before).pvalue)
