"""Numbers of the effects study, from its records and the vectors' calibrations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tonearm.errors import TonearmError
from tonearm.stats.effect import Effect, effect
from tonearm.studies.calibration import reader
from tonearm.studies.effects_claims import find_claims
from tonearm.studies.effects_conditions import (
    ATTRIBUTES,
    GROUPS,
    PLAIN,
    SIGNS,
    WORDS,
    Condition,
    Vectors,
    amount_name,
    conditions,
    failures,
    other_vectors,
    processing_name,
)
from tonearm.studies.effects_evaluators import Distances, measure_distances
from tonearm.studies.effects_random import RandomRow, Spread, random_rows, spreads
from tonearm.studies.effects_rows import TRACKERS, Row, row_of
from tonearm.studies.records import Record, records_of, values_of
from tonearm.studies.scales import scale_of

ATTRIBUTE_MEASURES = {
    "tempo": (*TRACKERS, "onset_rate", "onset_rate_superflux"),
    "brightness": ("spectral_centroid",),
}


@dataclass(frozen=True)
class Contrast:
    """Effects of one condition against another, by measure."""

    more: str
    less: str
    effects: Mapping[str, Effect]


@dataclass(frozen=True)
class VectorSign:
    """One sign of another vector, by the measure of its calibration.

    Attributes:
        vector: name.
        sign: of the amount.
        measure: of its calibration's evidence.
        change: of that measure, against no steering.
        row: the common measures of its takes.
        processed: change of the measure by each processed condition, by name.
    """

    vector: str
    sign: str
    measure: str
    change: Effect
    row: Row
    processed: Mapping[str, Effect]

    def moves_it(self, change: Effect) -> bool:
        """Whether a change is in the sign's sense beyond its interval."""
        return change.low > 0 if self.sign == "+" else change.high < 0


@dataclass(frozen=True)
class Results:
    """Numbers of the study.

    Attributes:
        rows: of the conditions that have records, in the order of the report; the first is no
            steering.
        random: random directions, by attribute and sign.
        spreads: of the random directions, beside the vectors on the same prompts.
        contrasts: of the two signs of each attribute: vector, words, processing.
        vectors: signs of the other vectors.
        failures: vector, sign and reason of every sign without amounts.
        distances: by condition.
        claims: sentences on what steering, words and processing move beside each other.
    """

    rows: tuple[Row, ...]
    random: tuple[RandomRow, ...]
    spreads: tuple[Spread, ...]
    contrasts: tuple[Contrast, ...]
    vectors: tuple[VectorSign, ...]
    failures: tuple[tuple[str, str, str], ...]
    distances: Mapping[str, Distances]
    claims: tuple[str, ...]

    @property
    def plain(self) -> Row:
        return self.rows[0]

    def group(self, *groups: str) -> list[Row]:
        """Rows of groups of conditions."""
        return [row for row in self.rows if row.condition.group in groups]


def analyse(records: Sequence[Record], vectors: Vectors) -> Results:
    """Compute the numbers of the study.

    Args:
        records: of the study, with those of no steering.
        vectors: that were used, by name, with their calibrations.

    Returns:
        The results.

    Raises:
        TonearmError: there are no records of no steering.
    """
    plain = records_of(records, PLAIN.name)
    if not plain:
        raise TonearmError("the study has no takes without steering; run its condition plain first")
    found = all_conditions(records, vectors)
    rows = [row_of(one, plain, records_of(records, one.name)) for one in found]
    random = spreads(records)
    signs = _vector_signs(records, vectors, rows)
    return Results(
        rows=tuple(rows),
        random=tuple(random_rows(records, random)),
        spreads=tuple(random),
        contrasts=tuple(_contrasts(records, found)),
        vectors=tuple(signs),
        failures=tuple(failures(vectors)),
        distances=measure_distances(records, [row.condition.name for row in rows]),
        claims=tuple(find_claims(records, rows)) + tuple(_vector_claims(signs)),
    )


def all_conditions(records: Sequence[Record], vectors: Vectors) -> list[Condition]:
    """List the conditions that have records, the processed ones behind those of their attribute."""
    present = {record["setting"]: record for record in records}
    processed = [
        Condition(name, _processing_label(present[name]), attribute)
        for attribute in ATTRIBUTES
        for sign in SIGNS
        if (name := processing_name(attribute, sign)) in present
    ]
    listed = sorted(
        [*conditions(vectors), *processed], key=lambda condition: GROUPS.index(condition.group)
    )
    return [one for one in listed if one.name in present]


def _processing_label(record: Record) -> str:
    facts = record["processing"]
    if "gain" in facts:
        return f"shelving filter {facts['gain']:+.1f} dB"
    return f"time stretch x {facts['rate']:.2f}"


def _contrasts(records: Sequence[Record], found: Sequence[Condition]) -> list[Contrast]:
    labels = {condition.name: condition.label for condition in found}
    pairs = [
        (attribute, more, less)
        for attribute in ATTRIBUTES
        for more, less in (
            (amount_name(attribute, "+"), amount_name(attribute, "-")),
            (amount_name(attribute, "+", 0.5), amount_name(attribute, "-", 0.5)),
            tuple(f"word-{word}" for word in WORDS[attribute]),
            (processing_name(attribute, "+"), processing_name(attribute, "-")),
        )
    ]
    return [
        Contrast(
            labels[more],
            labels[less],
            {
                measure: effect(
                    values_of(records_of(records, less), measure),
                    values_of(records_of(records, more), measure),
                    scale_of(measure),
                )
                for measure in ATTRIBUTE_MEASURES[attribute]
            },
        )
        for attribute, more, less in pairs
        if more in labels and less in labels
    ]


def _vector_signs(
    records: Sequence[Record], vectors: Vectors, rows: Sequence[Row]
) -> list[VectorSign]:
    by_name = {row.condition.name: row for row in rows}
    processed = [
        by_name[name].condition
        for attribute in ATTRIBUTES
        for sign in SIGNS
        if (name := processing_name(attribute, sign)) in by_name
    ]
    found = []
    for name in other_vectors(vectors):
        calibration = vectors[name].info.calibration
        for sign in SIGNS:
            row = by_name.get(amount_name(name, sign))
            evidence = calibration.of(1 if sign == "+" else -1).evidence if calibration else None
            if row is None or evidence is None:
                continue
            changes = _changes(records, evidence.measure, [row.condition, *processed])
            change = changes.pop(row.condition.name)
            found.append(VectorSign(name, sign, evidence.measure, change, row, changes))
    return found


def _changes(
    records: Sequence[Record], measure: str, changed: Sequence[Condition]
) -> dict[str, Effect]:
    """Effect of conditions on a measure of a calibration, by the condition's name."""
    value_of = reader(measure)
    plain = [value_of(record) for record in records_of(records, PLAIN.name)]
    return {
        one.name: effect(
            plain,
            [value_of(record) for record in records_of(records, one.name)],
            scale_of(measure),
        )
        for one in changed
    }


def _vector_claims(signs: Sequence[VectorSign]) -> list[str]:
    """State which other vectors move their measure, and which of these no processing moves."""
    moving = [one for one in signs if one.moves_it(one.change)]
    if not moving:
        return []
    alone = [
        f"{one.vector} {one.sign}1"
        for one in moving
        if one.processed and not any(one.moves_it(change) for change in one.processed.values())
    ]
    claims = [
        f"{len(moving)} of {len(signs)} signs of the other vectors move their own measure beyond "
        f"its interval: {', '.join(f'{one.vector} {one.sign}1' for one in moving)}."
    ]
    if alone:
        claims.append(
            "No filter and no time stretch of this study moves the measure of these in the same "
            f"sense: {', '.join(alone)}."
        )
    return claims
