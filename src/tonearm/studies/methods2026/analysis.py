"""Numbers of the ranking, from records alone.

A cell is one row of the ranking (a method with an operator) for one attribute, in the layer set that
neutral prompts chose. It counts where both readings of the attribute rise: each area is beyond its
interval, in the attribute's sense, and above that of every random direction at the same site and
layer set.

Shapes: n prompts; K divergences; B resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from statistics import fmean
from typing import Any

import numpy as np

from tonearm.measures import measure_kad
from tonearm.stats.area import Area, area, interval, resampled_areas, resamples
from tonearm.stats.effect import Effect, effect
from tonearm.stats.share import Share
from tonearm.studies.effects_evaluators import embedding_set
from tonearm.studies.equal_divergence import Curve, curves
from tonearm.studies.methods2026.attributes import Attribute
from tonearm.studies.methods2026.choices import scores_of_layer_sets
from tonearm.studies.methods2026.context import Cell
from tonearm.studies.methods2026.design import (
    HELD_OUT,
    OTHER_SEEDS,
    PLAIN,
    PROCESSED,
    RANDOM,
    REPORTED,
    WORD,
)
from tonearm.studies.methods2026.readings import Evaluators, Reading
from tonearm.studies.methods2026.responses import Plain, plain_means
from tonearm.studies.methods2026.variants import Condition
from tonearm.studies.records import Record, by_facts, select, values_of

LEAST_KNOWN = 0.5  # of the prompts, with a number at every divergence


@dataclass(frozen=True)
class Point:
    """One condition on held-out prompts.

    nats      mean divergence in nats per frame; NaN for words, processing and other seeds
    changes   by reading, in standard deviations of plain takes
    raw       the same on the reading's axis
    text      change of the cosine of take and prompt
    kad       kernel distance to the plain takes; None where a take is silent
    faulty    share of takes with a fault
    facts     of the records
    """

    nats: float
    changes: Mapping[str, Effect]
    raw: Mapping[str, Effect]
    text: Effect
    kad: float | None
    faulty: Share
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Curves:
    """Values of one direction at all divergences.

    x  divergence of each take, float64 [n, K]
    y  change by reading, in standard deviations of plain takes, float64 [n, K]
    """

    x: np.ndarray
    y: Mapping[str, np.ndarray]

    def area(self, reading: Reading, cutoff: float) -> Area:
        """Area under the mean curve of a reading; NaN where too few prompts have a number."""
        found = area(self.x, self.y[reading.name], cutoff)
        known = found.n >= LEAST_KNOWN * len(self.x)
        return found if known else Area(nan, nan, nan, found.n)


@dataclass(frozen=True)
class CellResult:
    """A cell.

    layer_set   that neutral prompts chose
    tried       score of each layer set on neutral prompts
    points      at rising divergence
    curves      of the takes behind the points
    areas       by reading
    random      area of each random direction by reading
    cutoff      of the areas
    """

    attribute: Attribute
    condition: Condition
    layer_set: str
    tried: Mapping[str, float]
    points: Sequence[Point]
    curves: Curves
    areas: Mapping[str, Area]
    random: Mapping[str, Sequence[float]]
    cutoff: float

    @property
    def name(self) -> str:
        return self.condition.name

    def rises(self, reading: Reading) -> bool:
        """Whether a reading rises beyond its interval and beyond every random direction; those
        without a number are no comparison.
        """
        own, random = self.areas[reading.name], self.known_random(reading)
        return own.is_beyond() and bool(random) and not any(one >= own.value for one in random)

    def known_random(self, reading: Reading) -> list[float]:
        """Areas of the random directions that have a number."""
        return [one for one in self.random[reading.name] if isfinite(one)]

    @property
    def counts(self) -> bool:
        """Whether both families agree."""
        return all(self.rises(one) for one in self.attribute.readings)

    @property
    def value(self) -> float:
        """Mean area of both readings."""
        return fmean(self.areas[one.name].value for one in self.attribute.readings)

    @property
    def reason(self) -> str:
        """Why the cell does not count; empty where it does."""
        found = []
        for one in self.attribute.readings:
            own = self.areas[one.name]
            if not isfinite(own.value):
                found.append(f"{one.name}: too few takes have a number")
            elif own.is_beyond(-1):
                found.append(f"{one.name}: falls")
            elif not own.is_beyond():
                found.append(f"{one.name}: not certain")
            elif not self.known_random(one):
                found.append(f"{one.name}: no random direction has a number")
            elif not self.rises(one):
                found.append(f"{one.name}: a random direction goes as far")
        return "; ".join(found)

    def resampled(self, drawn: np.ndarray) -> np.ndarray:
        """Mean area of both readings on resampled prompts, [B]."""
        found = [
            resampled_areas(self.curves.x, self.curves.y[one.name], self.cutoff, drawn)
            for one in self.attribute.readings
        ]
        return np.asarray(np.mean(found, axis=0))


@dataclass(frozen=True)
class AttributeResult:
    """Everything about an attribute.

    plain       spread of each reading over plain takes, on its axis
    cells       rows of the ranking
    word        takes of prompts with the word; None where there is none
    processed   plain takes through signal processing; None likewise
    seeds       plain takes of other seeds
    random      points of all random directions, by layer set
    """

    attribute: Attribute
    plain: Mapping[str, float]
    cells: Sequence[CellResult]
    word: Point | None
    processed: Point | None
    seeds: Point
    random: Sequence[Point]

    @property
    def ranked(self) -> list[CellResult]:
        """Cells, those that count first, by their areas."""
        return sorted(self.cells, key=lambda one: (not one.counts, -_finite(one.value)))


@dataclass(frozen=True)
class Rank:
    """A row of the ranking over all attributes.

    score    mean over attributes of the area of the cells that count, 0 for the others; its interval
             takes it as known which cells count
    counted  attributes whose cells count
    cells    by attribute
    """

    condition: Condition
    score: Area
    counted: Sequence[str]
    cells: Mapping[str, CellResult]

    @property
    def mean(self) -> float:
        """Mean area of all cells that have one, whether they count or not; NaN without one."""
        known = [one.value for one in self.cells.values() if isfinite(one.value)]
        return fmean(known) if known else nan


@dataclass(frozen=True)
class Contrast:
    """Difference of two rows of the ranking in one attribute: mean area of both readings."""

    attribute: str
    condition: str
    against: str
    difference: Area


@dataclass(frozen=True)
class Results:
    """Everything that the report states about the ranking."""

    attributes: Sequence[AttributeResult]
    ranking: Sequence[Rank]
    curves: Mapping[tuple[str, str], Curve]
    cutoff: float

    def contrasts(self, condition: str, against: str) -> list[Contrast]:
        """Two rows in every attribute that has both."""
        found = []
        for one in self.attributes:
            cells = {cell.name: cell for cell in one.cells}
            if {condition, against} <= cells.keys():
                found.append(contrast(cells[condition], cells[against]))
        return found


def contrast(cell: CellResult, against: CellResult) -> Contrast:
    """Difference of the mean areas of two cells of an attribute, on the same resamples."""
    n = len(cell.curves.x)
    drawn = resamples(n)
    difference = cell.resampled(drawn) - against.resampled(drawn)
    return Contrast(
        cell.attribute.name,
        cell.name,
        against.name,
        _area_of(cell.value - against.value, difference, n),
    )


def _area_of(value: float, resampled: np.ndarray, n: int) -> Area:
    """An area with its interval; without one where the value itself is not known."""
    if not isfinite(value):
        return Area(nan, nan, nan, n)
    return Area(value, *interval(resampled, n), n)


def _finite(value: float) -> float:
    return value if isfinite(value) else -np.inf


def analyse(
    records: Sequence[Record],
    attributes: Sequence[Attribute],
    conditions: Sequence[Condition],
    evaluators: Evaluators,
    cutoff: float,
) -> Results:
    """Compute the numbers of the ranking.

    Args:
        records: of all stages.
        attributes: of the run.
        conditions: rows of the ranking; those without takes are left out.
        evaluators: of the readings.
        cutoff: of the areas, in nats per frame.
    """
    found = [_attribute(records, one, conditions, evaluators, cutoff) for one in attributes]
    return Results(found, _ranking(found, conditions), curves(records), cutoff)


def _attribute(
    records: Sequence[Record],
    attribute: Attribute,
    conditions: Sequence[Condition],
    evaluators: Evaluators,
    cutoff: float,
) -> AttributeResult:
    plain = Plain(select(records, experiment=PLAIN, split=HELD_OUT), evaluators)

    def points(experiment: str, *names: str, **facts: Any) -> list[Point]:
        takes = select(records, experiment=experiment, **facts)
        return [point(plain, one, attribute) for one in by_facts(takes, *names).values()]

    own = {"attribute": attribute.name}
    word, processed = points(WORD, **own), points(PROCESSED, **own)
    cells = [
        _cell(records, Cell(attribute, one), plain, evaluators, cutoff)
        for one in conditions
        if select(records, experiment=REPORTED, condition=one.name, **own)
    ]
    (seeds,) = points(OTHER_SEEDS, split=HELD_OUT)
    return AttributeResult(
        attribute,
        {one.name: plain.spread(one) for one in attribute.all_readings},
        cells,
        word[0] if word else None,
        processed[0] if processed else None,
        seeds,
        points(RANDOM, "site", "layers", "draw", "nats"),
    )


def point(plain: Plain, takes: Sequence[Record], attribute: Attribute) -> Point:
    """Compare the takes of a condition, one of each prompt, with plain takes.

    Args:
        plain: takes of the same prompts.
        takes: of the condition.
        attribute: whose readings are compared.
    """
    zero = [0.0] * len(takes)
    divergences = [one["divergence"]["value"] for one in takes if "divergence" in one]
    changes = {one.name: plain.changes(takes, one) for one in attribute.all_readings}
    return Point(
        nats=fmean(divergences) if divergences else nan,
        changes={
            one.name: effect(zero, _known(changes[one.name] / plain.spread(one)), "difference")
            for one in attribute.all_readings
        },
        raw={name: effect(zero, _known(found), "difference") for name, found in changes.items()},
        text=effect(
            plain_means(plain.takes, takes, lambda one: one["clap_score"]["value"]),
            values_of(takes, "clap_score"),
            "difference",
        ),
        kad=distance(takes, plain.takes),
        faulty=Share.of(sum(bool(one["faulty"]) for one in takes), len(takes)),
        facts={
            name: value
            for name, value in takes[0].items()
            if isinstance(value, str | int | float) and name not in ("prompt", "seed", "take")
        }
        | {name: takes[0][name] for name in ("parameters",) if name in takes[0]},
    )


def _known(values: np.ndarray) -> list[float | None]:
    return [float(one) if isfinite(one) else None for one in values]


def distance(takes: Sequence[Record], reference: Sequence[Record]) -> float | None:
    """KAD of takes to a reference; None under two takes, and where one of them is silent."""
    own, other = embedding_set(takes, "takes"), embedding_set(reference, "plain")
    if own is None or other is None or len(takes) < 2:
        return None
    return measure_kad(own, other).value


def curves_of(plain: Plain, takes: Sequence[Record], attribute: Attribute) -> Curves:
    """Values of the takes of one direction, by prompt and divergence.

    Args:
        plain: takes of the same prompts.
        takes: at all divergences, one of each prompt.
        attribute: whose readings are compared.
    """
    levels = list(by_facts(takes, "nats").values())
    return Curves(
        np.array([[one["divergence"]["value"] for one in level] for level in levels]).T,
        {
            one.name: np.array([plain.standardised(level, one) for level in levels]).T
            for one in attribute.readings
        },
    )


def _cell(
    records: Sequence[Record], cell: Cell, plain: Plain, evaluators: Evaluators, cutoff: float
) -> CellResult:
    attribute = cell.attribute
    takes = select(
        records,
        experiment=REPORTED,
        attribute=attribute.name,
        condition=cell.condition.name,
    )
    layer_set = str(takes[0]["layers"])
    own = curves_of(plain, takes, attribute)
    draws = by_facts(
        select(records, experiment=RANDOM, site=cell.condition.candidate.site, layers=layer_set),
        "draw",
    )
    random = [curves_of(plain, one, attribute) for one in draws.values()]
    return CellResult(
        attribute,
        cell.condition,
        layer_set,
        scores_of_layer_sets(records, cell, evaluators),
        [point(plain, one, attribute) for one in by_facts(takes, "nats").values()],
        own,
        {one.name: own.area(one, cutoff) for one in attribute.readings},
        {
            one.name: [curve.area(one, cutoff).value for curve in random]
            for one in attribute.readings
        },
        cutoff,
    )


def _ranking(found: Sequence[AttributeResult], conditions: Sequence[Condition]) -> list[Rank]:
    """Rows by their scores, the highest first; rows without any cell are left out."""
    ranks = []
    for condition in conditions:
        cells = {
            one.attribute.name: cell
            for one in found
            for cell in one.cells
            if cell.name == condition.name
        }
        if not cells:
            continue
        counted = [name for name, cell in cells.items() if cell.counts]
        n = len(next(iter(cells.values())).curves.x)
        drawn = resamples(n)
        total = np.zeros(len(drawn))
        for name in counted:
            total += cells[name].resampled(drawn)
        value = sum(cells[name].value for name in counted) / len(found)
        ranks.append(Rank(condition, _area_of(value, total / len(found), n), counted, cells))
    return sorted(ranks, key=lambda one: -_finite(one.score.value))
