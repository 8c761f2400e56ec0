"""Conditions of the study as rows: scores and damage against the plain takes of the same prompts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from tonearm.measures.fad import measure_fad
from tonearm.stats.effect import Effect, effect
from tonearm.stats.share import Share
from tonearm.studies.effects_evaluators import embedding_set
from tonearm.studies.panda2025.scores import Score
from tonearm.studies.records import Record, same_prompts, values_of


@dataclass(frozen=True)
class Row:
    """One condition against the plain takes.

    facts   experiment, variant, pair, site, method, alpha ...
    scores  change of each score by name
    text    change of the cosine of take and prompt
    faulty  share of takes with a fault
    fad     to plain takes of other seeds; None where a take is silent
    """

    facts: Mapping[str, Any]
    scores: Mapping[str, Effect]
    text: Effect
    faulty: Share
    fad: float | None

    @property
    def target(self) -> Effect:
        """Change of the paper's score: of the target against the source, or among instruments."""
        return self.scores["pair"]


def row_of(
    plain: Sequence[Record],
    takes: Sequence[Record],
    scores: Mapping[str, Score],
    reference: Sequence[Record] = (),
) -> Row:
    """Compare the takes of a condition with the plain takes of the same prompts.

    Args:
        plain: takes without steering.
        takes: of the condition.
        scores: by name; one of tags is left out where they were not measured.
        reference: plain takes of other seeds.
    """
    before = same_prompts(plain, takes)
    changes = {
        name: effect([read(one) for one in before], [read(one) for one in takes], "difference")
        for name, read in scores.items()
        if "tags" in takes[0] or "tags" not in name
    }
    return Row(
        facts={
            name: value
            for name, value in takes[0].items()
            if isinstance(value, str | int | float) and name not in ("prompt", "seed", "take")
        },
        scores=changes,
        text=effect(values_of(before, "clap_score"), values_of(takes, "clap_score"), "difference"),
        faulty=Share.of(sum(bool(one["faulty"]) for one in takes), len(takes)),
        fad=distance(takes, reference),
    )


def distance(takes: Sequence[Record], reference: Sequence[Record]) -> float | None:
    """FAD of takes to a reference; None where one of them is silent."""
    own, other = embedding_set(takes, "takes"), embedding_set(reference, "unsteered, other seeds")
    if own is None or other is None or len(takes) < 2:
        return None
    return measure_fad(own, other).value


@dataclass(frozen=True)
class Spread:
    """Several random directions under one rule, each against the plain takes.

    facts   pair, site and rule
    rows    of the directions
    vector  the learned vector's row on the same prompts, at its own α
    """

    facts: Mapping[str, Any]
    rows: tuple[Row, ...]
    vector: Row

    def as_far(self, score: str = "pair") -> int:
        """Directions that move a score at least as far up as the vector."""
        limit = self.vector.scores[score].change
        return sum(row.scores[score].change >= limit for row in self.rows)

    def changes(self, score: str = "pair") -> tuple[float, ...]:
        """Change by each direction."""
        return tuple(row.scores[score].change for row in self.rows)

    @property
    def text(self) -> float:
        """Mean change of the cosine of take and prompt."""
        return fmean(row.text.change for row in self.rows)

    @property
    def faulty(self) -> Share:
        """Share of faulty takes over all directions."""
        shares = [row.faulty for row in self.rows]
        return Share.of(
            round(sum(one.value * one.n for one in shares)), sum(one.n for one in shares)
        )
