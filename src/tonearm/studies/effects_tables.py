"""Markdown tables of the effects study."""

from collections.abc import Sequence

from tonearm.stats.effect import Effect
from tonearm.studies.effects_analysis import Results
from tonearm.studies.effects_conditions import ATTRIBUTES
from tonearm.studies.effects_random import BOTH, RandomRow
from tonearm.studies.effects_rows import TRACKERS, Counts, Row
from tonearm.studies.effects_text import (
    TITLES,
    UNKNOWN,
    change_text,
    effect_text,
    faults_text,
    faulty_text,
    mean_text,
    ratio_text,
    spread_text,
    table,
)

ALL_MEASURES = (*TRACKERS, "onset_rate", "onset_rate_superflux", "spectral_centroid")
COSTS = ("faulty takes", "pulse clarity, of no steering", "CLAP score")


def effects_table(
    results: Results, measures: Sequence[str], groups: Sequence[str], bold: Sequence[str] = ()
) -> list[str]:
    """Make a table of effects and costs, a row for each condition, no steering first.

    Random directions follow the conditions of their attribute's group.

    Args:
        results: of the study.
        measures: whose effects are shown.
        groups: of conditions.
        bold: names of conditions whose labels are bold.
    """
    plain = results.plain
    rows = [_plain_cells(plain, measures)] if "plain" not in groups else []
    for group in groups:
        for row in results.group(group):
            if row is plain:
                rows.append(_plain_cells(row, measures))
            else:
                rows.append(_effect_cells(row, measures, row.condition.name in bold))
        rows += [_random_cells(one, measures) for one in results.random if one.attribute == group]
    titles = [
        f"{TITLES[one]} (takes with a beat)" if one in TRACKERS else TITLES[one] for one in measures
    ]
    return table(["condition", *titles, *COSTS], rows)


def _plain_cells(row: Row, measures: Sequence[str]) -> list[str]:
    means = [
        mean_text(measure, row.effects[measure]) + _confirmed(row.counts, measure)
        for measure in measures
    ]
    pulse, score = (mean_text(one, row.effects[one]) for one in ("pulse_clarity", "clap_score"))
    return [row.condition.label, *means, faulty_text(row.counts), pulse, score]


def _effect_cells(row: Row, measures: Sequence[str], is_bold: bool) -> list[str]:
    effects = row.effects
    label = f"**{row.condition.label}**" if is_bold else row.condition.label
    changes = [
        effect_text(measure, effects[measure]) + _confirmed(row.counts, measure)
        for measure in measures
    ]
    pulse, score = (
        ratio_text(effects["pulse_clarity"]),
        effect_text("clap_score", effects["clap_score"]),
    )
    return [label, *changes, faulty_text(row.counts), pulse, score]


def _random_cells(row: RandomRow, measures: Sequence[str]) -> list[str]:
    spreads = row.spreads
    cells = [
        (spread_text(spreads[measure]) if measure in spreads else UNKNOWN)
        + _confirmed(row.counts, measure)
        for measure in measures
    ]
    pulse, score = UNKNOWN, UNKNOWN
    if found := spreads.get("pulse_clarity"):
        ratios = [1 + change for change in found.changes]
        pulse = f"{1 + found.mean:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    if found := spreads.get("clap_score"):
        score = spread_text(found)
    return [row.label, *cells, faulty_text(row.counts), pulse, score]


def _confirmed(counts: Counts, measure: str) -> str:
    if measure not in TRACKERS:
        return ""
    return f" ({counts.confirmed[measure]} of {counts.takes})"


def faults_table(results: Results) -> list[str]:
    """Make a table of the kinds of fault, and of the loudness."""
    rows = [
        [
            row.condition.label,
            faulty_text(row.counts),
            faults_text(row.counts),
            mean_text("loudness", row.effects["loudness"]),
        ]
        for row in results.rows
    ]
    rows += [
        [
            one.label,
            faulty_text(one.counts),
            faults_text(one.counts),
            UNKNOWN,
        ]
        for one in results.random
    ]
    return table(["condition", "faulty takes", "of these", TITLES["loudness"]], rows)


def distances_table(results: Results) -> list[str]:
    """Make a table of FAD, KAD and the agreement of the trackers."""
    rows = []
    for row in results.rows:
        found = results.distances[row.condition.name]
        same = found.agreement
        rows.append(
            [
                row.condition.label,
                *(
                    UNKNOWN if one is None else f"{one.value:.3f}"
                    for one in (found.fad_same_seeds, found.fad)
                ),
                UNKNOWN if found.kad is None else f"{found.kad.value:.1f}",
                f"{same.accuracy_1.value:.0%}, {same.accuracy_2.value:.0%}" if same else UNKNOWN,
            ]
        )
    headings = ["condition", "FAD, same seeds", "FAD, other seeds", "KAD, other seeds"]
    return table([*headings, "bundled tracker as librosa"], rows)


def vectors_table(results: Results) -> list[str]:
    """Make a table of the other vectors: each sign's own measure, or why it fails."""
    headings = ["vector", "measure", "change", *COSTS]
    rows = [
        [
            f"{one.vector} {one.sign}1",
            one.measure,
            _change(one.measure, one.change),
            *_effect_cells(one.row, (), is_bold=False)[1:],
        ]
        for one in results.vectors
    ]
    rows += [
        [f"{vector} {sign}1", "", f"fails: {reason}", "", "", ""]
        for vector, sign, reason in results.failures
    ]
    return table(headings, rows)


def _change(measure: str, found: Effect) -> str:
    return f"{effect_text(measure, found)}, from {found.plain:.3g}"


def random_tables(results: Results) -> list[str]:
    """Make a table of every random direction's changes for each attribute."""
    lines: list[str] = []
    for attribute in ATTRIBUTES:
        members = [one for one in results.spreads if one.attribute == attribute]
        if not members:
            continue
        seeds = sorted({seed for one in members for seed in one.directions})
        rows = [
            [
                TITLES[one.measure],
                one.sign if one.sign == BOTH else f"{one.sign}1",
                effect_text(one.measure, one.vector),
                spread_text(one),
                f"{one.exceedance} of {len(one.directions)}",
                *(
                    change_text(one.measure, one.directions[seed].change)
                    if seed in one.directions
                    else UNKNOWN
                    for seed in seeds
                ),
            ]
            for one in members
        ]
        headings = ["measure", "amount", f"{attribute} vector", "mean (range)", "as far"]
        lines += [
            f"In place of {attribute}:",
            "",
            *table([*headings, *(f"seed {seed}" for seed in seeds)], rows),
            "",
        ]
    return lines
