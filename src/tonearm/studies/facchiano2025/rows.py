"""Conditions of the study as rows: effect and damage against the plain takes of the same prompts.

A random direction is a unit of its own: of several, a row has the spread over the directions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from tonearm.measures.fad import measure_fad
from tonearm.measures.kad import MIN_BANDWIDTH, measure_kad, median_distance
from tonearm.stats.effect import Effect
from tonearm.stats.share import Share
from tonearm.studies.effects_evaluators import embedding_set
from tonearm.studies.facchiano2025.choices import compared
from tonearm.studies.facchiano2025.design import MEASURE, SECOND_MEASURE, SIGNS
from tonearm.studies.records import Record, select, values_of

CONDITION = ("variant", "pair", "sign", "strength")  # facts that tell conditions apart


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
class Spread:
    """Several random directions under one rule, each against the plain takes.

    facts   experiment, pair, sign and rule
    rows    of the directions
    vector  the learned vector's row on the same prompts, at its own strength
    """

    facts: Mapping[str, Any]
    rows: tuple[Row, ...]
    vector: Row

    @property
    def as_far(self) -> int:
        """Directions that move the second measure at least as far as the vector, in its sense."""
        sense = SIGNS[self.facts["sign"]]
        limit = sense * self.vector.second.change
        return sum(sense * row.second.change >= limit for row in self.rows)

    @property
    def faulty(self) -> Share:
        """Share of faulty takes over all directions."""
        shares = [row.faulty for row in self.rows]
        return Share.of(
            round(sum(one.value * one.n for one in shares)), sum(one.n for one in shares)
        )


@dataclass(frozen=True)
class Distance:
    """Fréchet and kernel distance of takes to unsteered takes of other seeds; None where a take is
    silent.
    """

    fad: float | None
    kad: float | None


def by_condition(records: Sequence[Record], experiment: str, *more: str) -> list[list[Record]]:
    """Records of an experiment by condition, in their order; `more` are further facts that tell
    conditions apart.
    """
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        if record["experiment"] == experiment:
            key = tuple(record.get(name) for name in (*CONDITION, *more))
            groups.setdefault(key, []).append(record)
    return [sorted(takes, key=lambda record: record["prompt"]) for takes in groups.values()]


def row_of(plain: Sequence[Record], takes: Sequence[Record], pair: str | None = None) -> Row:
    """Compare the takes of a condition with the plain takes of the same prompts.

    Args:
        plain: takes without steering.
        takes: of the condition.
        pair: that the row is about; None for that of the takes, or tempo where they have none.
    """
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


def spreads_of(
    records: Sequence[Record], experiment: str, plain: Sequence[Record], steered: Sequence[Record]
) -> list[Spread]:
    """Spread of the random directions of an experiment, by pair, sign and rule.

    Args:
        records: of the study.
        experiment: of the random directions.
        plain: takes without steering of the same prompts.
        steered: takes of the learned vectors at equal divergence, of all pairs and signs.
    """
    rows: dict[tuple[str, str, str], list[list[Record]]] = {}
    for takes in by_condition(records, experiment, "rule", "draw"):
        first = takes[0]
        rows.setdefault((first["pair"], first["sign"], first["rule"]), []).append(takes)
    found = []
    for (pair, sign, rule), draws in rows.items():
        prompts = {record["prompt"] for record in draws[0]}
        own = [one for one in select(steered, pair=pair, sign=sign) if one["prompt"] in prompts]
        facts = {"experiment": experiment, "pair": pair, "sign": sign, "rule": rule}
        members = tuple(row_of(plain, takes) for takes in draws)
        found.append(Spread(facts, members, row_of(plain, own)))
    return found


def with_centroid(
    records: Sequence[Record], plain: Sequence[Record], experiment: str
) -> list[tuple[Row, Effect]]:
    """Rows by the measures of tempo, each with the effect on the centroid."""
    return [
        (row_of(plain, takes, "tempo"), compared(plain, takes, MEASURE["brightness"]))
        for takes in by_condition(records, experiment, "draw")
    ]


def distance_of(takes: Sequence[Record], reference: Sequence[Record]) -> Distance:
    """Distances of takes to a reference.

    KAD has no bandwidth where most takes of the reference are equal, as of weights without training.
    """
    own, other = embedding_set(takes, "takes"), embedding_set(reference, "unsteered, other seeds")
    if own is None or other is None or len(takes) < 2:
        return Distance(None, None)
    has_bandwidth = median_distance(other) >= MIN_BANDWIDTH
    kad = measure_kad(own, other).value if has_bandwidth else None
    return Distance(measure_fad(own, other).value, kad)


def moments(records: Sequence[Record], measure: str) -> tuple[float, float]:
    """Mean and standard deviation."""
    found = np.array([value for value in values_of(records, measure) if value is not None])
    if not len(found):
        return float("nan"), float("nan")
    return float(found.mean()), float(found.std(ddof=1)) if len(found) > 1 else float("nan")
