"""Statements on what steering, words and signal processing move beside each other.

A statement that one condition moves a measure and another does not needs three intervals: that of
the first is beyond 0, that of the second holds 0, and that of the difference of the two is beyond 0.
A tag is moved where a paired t-test of its mean probability, times the number of tags, is under
0.05.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.stats import ttest_rel

from tonearm.stats.effect import Effect, effect
from tonearm.studies.effects_conditions import (
    ATTRIBUTES,
    PLAIN,
    SIGNS,
    WORDS,
    amount_name,
    processing_name,
)
from tonearm.studies.effects_rows import Row
from tonearm.studies.effects_text import TITLES, effect_text
from tonearm.studies.records import Record, records_of, values_of
from tonearm.studies.scales import scale_of

MEASURES = ("onset_rate", "spectral_centroid", "loudness", "pulse_clarity", "clap_score")
LEVEL = 0.05
SHOWN_TAGS = 5
Takes = Mapping[str, Sequence[Record]]


def find_claims(records: Sequence[Record], rows: Sequence[Row]) -> Iterator[str]:
    """Yield the statements that the records show.

    Args:
        records: of the study.
        rows: of its conditions; the first is no steering.
    """
    by_name = {row.condition.name: row for row in rows}
    takes = {name: records_of(records, name) for name in by_name}
    for attribute in ATTRIBUTES:
        yield from _graded(attribute, by_name, takes)
    yield from _length(by_name, takes)
    for attribute in ATTRIBUTES:
        for sign, word in zip(SIGNS, WORDS[attribute], strict=True):
            steered = by_name.get(amount_name(attribute, sign))
            for name in (f"word-{word}", processing_name(attribute, sign)):
                if steered and name in by_name:
                    yield from _compared(steered, by_name[name], takes)
    if {"fast-dark", "word-fast-dark"} <= by_name.keys():
        yield from _compared(by_name["fast-dark"], by_name["word-fast-dark"], takes)


def _graded(attribute: str, rows: Mapping[str, Row], takes: Takes) -> Iterator[str]:
    """State that half an amount moves the attribute's measure less than a whole one."""
    measure = {"tempo": "onset_rate", "brightness": "spectral_centroid"}[attribute]
    for sign in SIGNS:
        whole, half = (rows.get(amount_name(attribute, sign, amount)) for amount in (1.0, 0.5))
        if not (whole and half):
            continue
        sense = 1 if sign == "+" else -1
        step = _contrast(takes, half.condition.name, whole.condition.name, measure)
        if _moved(half.effects[measure], sense) and _moved(step, sense):
            yield (
                f"Amounts are graded, words are not: {half.condition.label} moves {TITLES[measure]} "
                f"by {effect_text(measure, half.effects[measure])}, {whole.condition.label} by "
                f"{effect_text(measure, whole.effects[measure])}."
            )


def _length(rows: Mapping[str, Row], takes: Takes) -> Iterator[str]:
    """State the length of a stretched take."""
    name = processing_name("tempo", "+")
    if name in rows:
        rate = takes[name][0]["processing"]["rate"]
        yield (
            f"The time stretch turns 10 s of music into {10 / rate:.1f} s; a steered take has the "
            "length that was asked for."
        )


def _compared(steered: Row, other: Row, takes: Takes) -> Iterator[str]:
    """State the measures and tags that only one of two conditions moves."""
    for mover, keeper in ((steered, other), (other, steered)):
        alone = [
            f"{TITLES[measure]} ({effect_text(measure, mover.effects[measure])} against "
            f"{effect_text(measure, keeper.effects[measure])})"
            for measure in MEASURES
            if _moved(mover.effects[measure])
            and not _moved(keeper.effects[measure])
            and _moved(_contrast(takes, keeper.condition.name, mover.condition.name, measure))
        ]
        if alone:
            yield f"Only {_named(mover)} and not {_named(keeper)} moves {', '.join(alone)}."
    plain = takes[PLAIN.name]
    own, others = (moved_tags(plain, takes[row.condition.name]) for row in (steered, other))
    between = moved_tags(takes[other.condition.name], takes[steered.condition.name])
    texts = []
    for row, moved, kept in ((steered, own, others), (other, others, own)):
        alone = sorted(
            (moved.keys() - kept.keys()) & between.keys(), key=lambda tag: -abs(moved[tag])
        )
        listed = ", ".join(f"{tag} {moved[tag]:+.2f}" for tag in alone[:SHOWN_TAGS])
        texts.append(f"{_named(row)} {len(moved)}" + (f", and it alone {listed}" if alone else ""))
    yield f"Tags by musicnn whose mean probability moves: {'; '.join(texts)}."


def moved_tags(plain: Sequence[Record], takes: Sequence[Record]) -> dict[str, float]:
    """Find the tags whose mean probability moves beyond chance.

    Args:
        plain: takes of one condition, by prompt.
        takes: of another one, of the same prompts.

    Returns:
        Difference of the mean probability by tag, with Bonferroni's correction for their number.
    """
    pairs = [
        (before["tags"], after["tags"])
        for before, after in zip(plain, takes, strict=True)
        if before["tags"] and after["tags"]
    ]
    if len(pairs) < 2:
        return {}
    tags = list(pairs[0][0])
    before, after = (
        np.array([[found[tag] for tag in tags] for found in column])
        for column in zip(*pairs, strict=True)
    )
    differences = (after - before).mean(0)
    with np.errstate(invalid="ignore"):
        chances = ttest_rel(after, before).pvalue
    return {
        tag: float(difference)
        for tag, difference, chance in zip(tags, differences, chances, strict=True)
        if chance * len(tags) < LEVEL
    }


def _contrast(takes: Takes, before: str, after: str, measure: str) -> Effect:
    return effect(
        values_of(takes[before], measure), values_of(takes[after], measure), scale_of(measure)
    )


def _moved(found: Effect, sense: int = 0) -> bool:
    """Whether a change is beyond its interval, in a sense or in any."""
    return (sense >= 0 and found.low > 0) or (sense <= 0 and found.high < 0)


def _named(row: Row) -> str:
    """The condition in a sentence."""
    return row.condition.label if row.condition.steering else f"the {row.condition.label}"
