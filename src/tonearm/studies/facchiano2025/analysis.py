"""Numbers of each figure and table, from the records and the prompt activations alone.

Every change is against the plain takes of the same prompts and seeds, with a t-interval over
prompts. A draw of a set size, and a random direction, is a unit of its own: their rows are means
over prompts, and the spread is over draws.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from tonearm.stats.discoveries import discoveries
from tonearm.stats.effect import Effect
from tonearm.stats.share import Share
from tonearm.stats.trend import Slope, page_trend, theil_sen
from tonearm.studies.equal_divergence import Curve, curves
from tonearm.studies.facchiano2025.choices import LayerEffect, best_layer, compared, layer_effects
from tonearm.studies.facchiano2025.design import MEASURE, PAIR, SECOND_MEASURE, SIGNS
from tonearm.studies.facchiano2025.geometry import Geometry, geometry_of
from tonearm.studies.facchiano2025.pairs import Leakage, PairRow, leakage_of, pair_rows
from tonearm.studies.facchiano2025.rows import (
    Distance,
    Row,
    Spread,
    by_condition,
    distance_of,
    moments,
    row_of,
    spreads_of,
    with_centroid,
)
from tonearm.studies.records import Record, select, values_of

# experiment -> endings of the names of the variants that the paper prefers, and of the others
PREFERRED = {
    "strategies": ("one-to-all", ("all-to-all", "one-to-one")),
    "branches": ("branch both", ("branch conditional", "branch unconditional")),
    "steps": ("", ("first step",)),
}


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
class Trend:
    """Dose and response over the strengths of one sign.

    page   p of Page's test that the response rises in the sign's sense with the strength
    slope  Theil-Sen slope of the relative response over log2 of the strength
    until  the strength up to which each step goes in the sign's sense
    """

    page: float
    slope: Slope
    until: float


@dataclass(frozen=True)
class Contrast:
    """One variant against another on the same prompts and seeds, by the second measure.

    effect  of `better` against `worse`
    """

    experiment: str
    pair: str
    sign: str
    better: str
    worse: str
    effect: Effect


@dataclass(frozen=True)
class Results:
    """Everything that the report states.

    `floor` and `plain_faulty` are of the plain takes of the held-out prompts.

    `certain` marks the layers, by pair and in the order of `scan`, whose effect counts after control
    of the false discovery rate over the scan.
    """

    best: Mapping[str, int]
    scan: Mapping[str, Sequence[LayerEffect]]
    certain: Mapping[str, np.ndarray]
    curves: Mapping[tuple[str, str], Curve]
    strengths: Sequence[tuple[Row, Distance]]
    trends: Mapping[tuple[str, str], Trend]
    variants: Sequence[Row]
    contrasts: Sequence[Contrast]
    sizes: Sequence[SizeRow]
    pairs: Sequence[PairRow]
    leakage: Leakage
    grid: Sequence[tuple[Row, Effect]]
    table_1: Sequence[tuple[Row, Distance]]
    neutral_controls: Sequence[Row | Spread]
    controls: Sequence[Row | Spread]
    fast_dark: Sequence[tuple[Row, Effect]]
    plain: Mapping[str, tuple[float, float]]
    floor: Distance
    plain_faulty: Share
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
    return Results(
        best={pair: best_layer(found) for pair, found in scan.items()},
        scan=scan,
        certain={
            pair: discoveries(np.array([one.effect.p for one in found]))
            for pair, found in scan.items()
        },
        curves=curves(records),
        strengths=[
            (row_of(plain, takes), distance_of(takes, reference))
            for takes in by_condition(records, "strengths")
        ],
        trends={
            (pair, sign): _trend(records, plain, pair, sign)
            for pair in PAIR.values()
            for sign in SIGNS
        },
        variants=[
            row_of(plain, takes)
            for experiment in PREFERRED
            for takes in by_condition(records, experiment)
        ],
        contrasts=[one for experiment in PREFERRED for one in _contrasts(records, experiment)],
        sizes=_sizes(records, plain),
        pairs=pair_rows(records),
        leakage=leakage_of(records),
        grid=with_centroid(records, plain, "grid"),
        table_1=[
            (row_of(held_out, takes), distance_of(takes, reference))
            for takes in by_condition(records, "table 1", "rule")
        ],
        neutral_controls=_controls(
            records,
            plain,
            "other seeds",
            ("neutral random", "neutral word", "neutral processed"),
            [one for one in select(records, experiment="steps") if "layer" in one["variant"]],
        ),
        controls=_controls(
            records,
            held_out,
            "held-out other seeds",
            ("random", "word", "processed"),
            select(records, experiment="table 1", rule="equal"),
        ),
        fast_dark=with_centroid(records, held_out, "fast but dark"),
        plain={
            measure: moments(held_out, measure)
            for measure in dict.fromkeys([*MEASURE.values(), *SECOND_MEASURE.values()])
        },
        floor=distance_of(held_out, reference),
        plain_faulty=Share.of(sum(bool(one["faulty"]) for one in held_out), len(held_out)),
        geometry={pair: geometry_of(rows[pair]) for pair in rows},
    )


def _controls(
    records: Sequence[Record],
    plain: Sequence[Record],
    seeds: str,
    experiments: tuple[str, str, str],
    steered: Sequence[Record],
) -> list[Row | Spread]:
    """Rows of no steering with other seeds, random directions, words and signal processing."""
    random, *others = experiments
    floors = [row_of(plain, select(records, experiment=seeds), pair) for pair in PAIR.values()]
    return [
        *floors,
        *spreads_of(records, random, plain, steered),
        *(
            row_of(plain, takes)
            for experiment in others
            for takes in by_condition(records, experiment)
        ),
    ]


def _contrasts(records: Sequence[Record], experiment: str) -> list[Contrast]:
    """The preferred variant of an experiment against each of the others."""
    better, others = PREFERRED[experiment]
    sets = by_condition(records, experiment)
    found = []
    for takes in sets:
        pair, sign, name = (takes[0][fact] for fact in ("pair", "sign", "variant"))
        is_preferred = name.endswith(better) and not name.endswith(others)
        for other in sets if is_preferred else ():
            if (other[0]["pair"], other[0]["sign"]) != (pair, sign) or other is takes:
                continue
            effect = compared(other, takes, SECOND_MEASURE[pair])
            found.append(Contrast(experiment, pair, sign, name, other[0]["variant"], effect))
    return found


def _trend(records: Sequence[Record], plain: Sequence[Record], pair: str, sign: str) -> Trend:
    """Trend of the second measure, which every take has."""
    measure = SECOND_MEASURE[pair]
    sets = [
        takes
        for takes in by_condition(records, "strengths")
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
    return Trend(
        page_trend(SIGNS[sign] * values),
        theil_sen(np.log2(strengths).tolist(), changes),
        until,
    )


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
