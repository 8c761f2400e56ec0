"""Numbers of each figure and table, from the records and the prompt activations alone.

Every change is against the plain takes of the same prompts and seeds, with a t-interval over
prompts. A draw of a set size, and a random direction, is a unit of its own: their rows are means
over prompts, and the spread is over draws.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from scipy.stats import false_discovery_control, page_trend_test, theilslopes, ttest_rel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tonearm.analysis.projection import Plane, project
from tonearm.analysis.similarity import Blocks, cosine_matrix, find_blocks, split_half_cosines
from tonearm.measures.fad import measure_fad
from tonearm.measures.kad import measure_kad
from tonearm.stats import Share
from tonearm.studies.effect import Effect, effect
from tonearm.studies.effects_evaluators import embedding_set
from tonearm.studies.facchiano2025.choices import (
    Curve,
    LayerEffect,
    best_layer,
    compared,
    curves,
    layer_effects,
    select,
)
from tonearm.studies.facchiano2025.design import (
    MEASURE,
    PAIR,
    SECOND_MEASURE,
    SIGNS,
)
from tonearm.studies.records import Record, values_of

LEAKAGE_MEASURES = (
    "bundled_tempo",
    "onset_rate",
    "spectral_centroid",
    "loudness",
    "pulse_clarity",
    "clap_score",
)
LEAKAGE_TAGS = ("fast", "slow", "loud", "soft", "classical", "techno", "rock", "flute", "cello")
FALSE_DISCOVERIES = 0.05
SPLIT_DRAWS, SPLIT_SEED = 50, 9


@dataclass(frozen=True)
class Row:
    """One condition against the plain takes.

    facts       experiment, variant, pair, sign, strength ...
    effect      of the paper's measure of the pair
    second      of the second measure
    text        change of the CLAP score
    pulse       change of mean pulse clarity, relative
    faulty      share of takes with a fault
    confirmed   share of takes with a confirmed tempo
    divergence  nats per frame; None where it was not measured
    """

    facts: Mapping[str, Any]
    effect: Effect
    second: Effect
    text: Effect
    pulse: Effect
    faulty: Share
    confirmed: Share
    divergence: float | None


@dataclass(frozen=True)
class Distance:
    """Fréchet and kernel distance of takes to unsteered takes of other seeds; None where a take is
    silent.
    """

    fad: float | None
    kad: float | None


@dataclass(frozen=True)
class SizeRow:
    """Directions of one number of prompts: mean over prompts by draw."""

    pair: str
    size: int
    sign: str
    changes: tuple[float, ...]

    @property
    def mean(self) -> float:
        return fmean(self.changes)

    @property
    def deviation(self) -> float:
        return float(np.std(self.changes, ddof=1)) if len(self.changes) > 1 else float("nan")


@dataclass(frozen=True)
class Geometry:
    """Prompt activations of a pair.

    separations  d' of the two prompt sets along their direction, by layer
    cosines      between the layers' directions
    blocks       of the layers
    halves       mean split-half cosine of the direction, by layer
    planes       of the layers
    """

    separations: tuple[float, ...]
    cosines: np.ndarray
    blocks: Blocks
    halves: tuple[float, ...]
    planes: tuple[Plane, ...]


@dataclass(frozen=True)
class PairRow:
    """One sign of a pair, by a classifier of its own prompts' takes.

    accuracy  of the classifier on takes of prompts that did not train it
    change    of the mean probability of the positive pole, steered against plain
    """

    pair: str
    sign: str
    strength: float
    accuracy: Share
    change: Effect
    row: Row


@dataclass(frozen=True)
class Leakage:
    """Every vector and sign against every measure.

    rows, columns  labels
    values         changes over the standard deviation of the plain takes
    certain        after control of the false discovery rate over the whole matrix
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    certain: np.ndarray


@dataclass(frozen=True)
class Trend:
    """Dose and response over the strengths of one sign.

    page   p of Page's test that the response rises in the sign's sense with the strength
    slope  Theil-Sen slope of the relative response over log2 of the strength, with its interval
    until  the strength up to which each step goes in the sign's sense
    """

    page: float
    slope: float
    low: float
    high: float
    until: float


@dataclass(frozen=True)
class Results:
    """Everything that the report states."""

    best: Mapping[str, int]
    scan: Mapping[str, Sequence[LayerEffect]]
    curves: Mapping[tuple[str, str], Curve]
    strengths: Sequence[tuple[Row, Distance]]
    trends: Mapping[tuple[str, str], Trend]
    variants: Sequence[Row]
    sizes: Sequence[SizeRow]
    pairs: Sequence[PairRow]
    leakage: Leakage
    grid: Sequence[tuple[Row, Effect]]
    table_1: Sequence[tuple[Row, Distance]]
    controls: Sequence[Row]
    fast_dark: Sequence[tuple[Row, Effect]]
    floor: Mapping[str, Row]
    plain: Mapping[str, tuple[float, float]]
    geometry: Mapping[str, Geometry]


def analyse(records: Sequence[Record], rows: Mapping[str, np.ndarray]) -> Results:
    """Compute the numbers of the study.

    Args:
        records: of all stages.
        rows: prompt activations by pair, float32 [2, n, L, D].
    """
    plain = select(records, experiment="plain")
    held_out = select(records, experiment="held-out plain")
    reference = select(records, experiment="reference")
    scan = {pair: layer_effects(records, pair) for pair in PAIR.values()}
    sweep = [
        (_row(plain, takes), _distance(takes, reference)) for takes in _by(records, "strengths")
    ]
    table = [
        (_row(held_out, takes), _distance(takes, reference))
        for takes in _by(records, "table 1", "rule")
    ]
    controls = [
        _row(held_out, takes)
        for experiment in ("random", "word", "processed")
        for takes in _by(records, experiment)
    ]
    return Results(
        best={pair: best_layer(found) for pair, found in scan.items()},
        scan=scan,
        curves=curves(records),
        strengths=sweep,
        trends={
            (pair, sign): _trend(records, plain, pair, sign)
            for pair in PAIR.values()
            for sign in SIGNS
        },
        variants=[
            _row(plain, takes)
            for experiment in ("strategies", "branches", "steps")
            for takes in _by(records, experiment)
        ],
        sizes=_sizes(records, plain),
        pairs=_pairs(records),
        leakage=_leakage(records),
        grid=_with_centroid(records, plain, "grid"),
        table_1=table,
        controls=controls,
        fast_dark=_with_centroid(records, held_out, "fast but dark"),
        floor={
            pair: _row(held_out, select(records, experiment="held-out other seeds"), pair)
            for pair in PAIR.values()
        },
        plain={
            measure: _moments(held_out, measure)
            for measure in dict.fromkeys([*MEASURE.values(), *SECOND_MEASURE.values()])
        },
        geometry={pair: _geometry(rows[pair]) for pair in rows},
    )


def _by(records: Sequence[Record], experiment: str, *more: str) -> list[list[Record]]:
    """Records of an experiment by condition, in their order."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        if record["experiment"] == experiment:
            names = ("variant", "pair", "sign", "strength", *more)
            groups.setdefault(tuple(record.get(name) for name in names), []).append(record)
    return [sorted(takes, key=lambda record: record["prompt"]) for takes in groups.values()]


def _row(plain: Sequence[Record], takes: Sequence[Record], pair: str | None = None) -> Row:
    about = pair or takes[0].get("pair") or "tempo"
    known = about if about in MEASURE else "tempo"
    divergences = [record["divergence"]["value"] for record in takes if "divergence" in record]
    facts = {
        name: value
        for name, value in takes[0].items()
        if isinstance(value, str | int | float) and name not in ("prompt", "seed", "take", "stage")
    }
    return Row(
        facts={**facts, "pair": about},
        effect=compared(plain, takes, MEASURE[known]),
        second=compared(plain, takes, SECOND_MEASURE[known]),
        text=compared(plain, takes, "clap_score"),
        pulse=compared(plain, takes, "pulse_clarity"),
        faulty=Share.of(sum(bool(one["faulty"]) for one in takes), len(takes)),
        confirmed=Share.of(
            sum(value is not None for value in values_of(takes, "bundled_tempo")), len(takes)
        ),
        divergence=fmean(divergences) if divergences else None,
    )


def _with_centroid(
    records: Sequence[Record], plain: Sequence[Record], experiment: str
) -> list[tuple[Row, Effect]]:
    """Rows by the measures of tempo, each with the effect on the centroid."""
    return [
        (_row(plain, takes, "tempo"), compared(plain, takes, MEASURE["brightness"]))
        for takes in _by(records, experiment)
    ]


def _distance(takes: Sequence[Record], reference: Sequence[Record]) -> Distance:
    own, other = embedding_set(takes, "takes"), embedding_set(reference, "unsteered, other seeds")
    if own is None or other is None or len(takes) < 2:
        return Distance(None, None)
    return Distance(measure_fad(own, other).value, measure_kad(own, other).value)


def _moments(records: Sequence[Record], measure: str) -> tuple[float, float]:
    """Mean and standard deviation."""
    found = np.array([value for value in values_of(records, measure) if value is not None])
    if not len(found):
        return float("nan"), float("nan")
    return float(found.mean()), float(found.std(ddof=1)) if len(found) > 1 else float("nan")


def _trend(records: Sequence[Record], plain: Sequence[Record], pair: str, sign: str) -> Trend:
    """Trend of the second measure, which every take has."""
    measure = SECOND_MEASURE[pair]
    sets = [
        takes
        for takes in _by(records, "strengths")
        if (takes[0]["pair"], takes[0]["sign"]) == (pair, sign)
    ]
    sets.sort(key=lambda takes: takes[0]["strength"])
    strengths = [takes[0]["strength"] for takes in sets]
    changes = [SIGNS[sign] * compared(plain, takes, measure).change for takes in sets]
    until = 0.0
    for strength, change, before in zip(strengths, changes, [0.0, *changes], strict=False):
        if not change > before:
            break
        until = strength
    values = np.array([values_of(takes, measure) for takes in sets], dtype=float).T
    whole = SIGNS[sign] * values[np.isfinite(values).all(axis=1)]
    page = float("nan")
    if whole.shape[0] > 1 and whole.shape[1] > 2:
        page = float(page_trend_test(whole).pvalue)
    slope = theilslopes(changes, np.log2(strengths)) if len(changes) > 2 else None
    nan = float("nan")
    if slope is None:
        return Trend(page, nan, nan, nan, until)
    return Trend(page, float(slope.slope), float(slope.low_slope), float(slope.high_slope), until)


def _sizes(records: Sequence[Record], plain: Sequence[Record]) -> list[SizeRow]:
    draws: dict[tuple[str, int, str], dict[int, list[Record]]] = {}
    for record in select(records, experiment="set sizes"):
        key = (record["pair"], record["size"], record["sign"])
        draws.setdefault(key, {}).setdefault(record["draw"], []).append(record)
    return [
        SizeRow(
            pair,
            size,
            sign,
            tuple(
                compared(plain, takes, SECOND_MEASURE[pair]).change for takes in by_draw.values()
            ),
        )
        for (pair, size, sign), by_draw in sorted(draws.items())
    ]


def _pairs(records: Sequence[Record]) -> list[PairRow]:
    plain = select(records, experiment="plain of pairs")
    classifiers: dict[str, tuple[Any, Share]] = {}
    found = []
    for takes in _by(records, "pairs"):
        pair, sign = takes[0]["pair"], takes[0]["sign"]
        if pair not in classifiers:
            classifiers[pair] = _classifier(select(records, experiment="prompted", pair=pair))
        classifier, accuracy = classifiers[pair]
        before, after = (_probabilities(classifier, some) for some in (plain, takes))
        change = effect(before[: len(after)], after, relative=False)
        row = _row(plain, takes, pair)
        found.append(PairRow(pair, sign, takes[0]["strength"], accuracy, change, row))
    return found


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


def _leakage(records: Sequence[Record]) -> Leakage:
    plain = select(records, experiment="plain of pairs")
    sets = _by(records, "pairs")
    readers = {name: _measure_reader(name) for name in LEAKAGE_MEASURES}
    readers |= {f"tag {tag}": _tag_reader(tag) for tag in LEAKAGE_TAGS}
    values, chances = [], []
    for takes in sets:
        pairs_of = [_paired(plain[: len(takes)], takes, read) for read in readers.values()]
        values.append([_standardised(*pair) for pair in pairs_of])
        chances.append([_chance(*pair) for pair in pairs_of])
    p = np.array(chances)
    certain = np.zeros(p.shape, dtype=bool)
    known = np.isfinite(p)
    if known.any():
        certain[known] = false_discovery_control(p[known]) < FALSE_DISCOVERIES
    labels = tuple(f"{takes[0]['pair']} {takes[0]['sign']}" for takes in sets)
    return Leakage(labels, tuple(readers), np.array(values), certain)


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


def _geometry(rows: np.ndarray) -> Geometry:
    positive, negative = (side.swapaxes(0, 1) for side in rows)  # [L, n, D]
    directions = positive.mean(1) - negative.mean(1)
    cosines = cosine_matrix(directions)
    layers: Iterable[tuple[np.ndarray, np.ndarray]] = list(zip(positive, negative, strict=True))
    planes = tuple(project(*sides) for sides in layers)
    return Geometry(
        separations=tuple(plane.separation for plane in planes),
        cosines=cosines,
        blocks=find_blocks(cosines),
        halves=tuple(
            float(split_half_cosines(*sides, SPLIT_DRAWS, SPLIT_SEED).mean()) for sides in layers
        ),
        planes=planes,
    )
