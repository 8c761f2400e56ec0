"""Report of the study: claims, ranking, attributes, protocol and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from statistics import fmean
from typing import Any

from tonearm.report.claims import claims_tables
from tonearm.report.levels import level_matched
from tonearm.report.study_page import Player, Report, Section
from tonearm.report.table import Table
from tonearm.stats.share import Share
from tonearm.studies.methods2026.analysis import AttributeResult, CellResult, Point, Results
from tonearm.studies.methods2026.claims import all_claims, area_text, effect_text
from tonearm.studies.methods2026.design import HELD_OUT, LAYER_SETS, PLAIN, REPORTED, WORD
from tonearm.studies.methods2026.figures import all_figures, mean_change
from tonearm.studies.methods2026.note_probes import Probe
from tonearm.studies.methods2026.note_report import note_claims, note_section
from tonearm.studies.methods2026.note_steering import NoteResult
from tonearm.studies.methods2026.stem_report import stem_claims, stem_section
from tonearm.studies.methods2026.stem_steering import StemResult
from tonearm.studies.methods2026.variants import candidates
from tonearm.studies.published_run import StoredStudy
from tonearm.studies.records import Record, select

SMOKE = "Smoke run: it shows that everything runs, and its numbers mean nothing."
CAPTION = "Claims about steering methods on this checkpoint."
ABSENT = "–"


@dataclass(frozen=True)
class Protocols:
    """Results by the protocols of two papers; empty where nothing could be rendered.

    probes    of notes and tempo
    notes     of steering to pitch classes
    stems     of adding and removing drums
    accuracy  of the classifier of drums by label
    """

    probes: Sequence[Probe]
    notes: Sequence[NoteResult]
    stems: Sequence[StemResult]
    accuracy: Mapping[str, Share]


def make_report(results: Results, stored: StoredStudy, protocols: Protocols) -> Report:
    """Write the report.

    Args:
        results: numbers of the ranking.
        stored: records of which some takes are played, and details of the run.
        protocols: results beside the ranking.
    """
    figures, details = all_figures(results), stored.details
    probes, notes, stems = protocols.probes, protocols.notes, protocols.stems
    claims = [*all_claims(results), *note_claims(probes, notes), *stem_claims(stems)]
    return Report(
        title=f"Steering methods ranked on {details['model']}",
        warning=SMOKE if details["design"] == "smoke" else "",
        lead=_lead(results, details),
        sections=[
            Section("Claims", tables=claims_tables(claims, CAPTION)),
            Section(
                "Ranking",
                _ranking_text(results),
                figures=[figures["ranking"]],
                tables=[ranking_table(results)],
            ),
            Section(
                "Effect against divergence",
                figures=[figures["curves"]],
                tables=[cells_table(results)],
            ),
            Section(
                "Effect against damage",
                [
                    "Text agreement is the cosine of take and prompt. The prompt names a genre and an "
                    "instrument, so that a take which is steered to jazz or flute loses agreement by "
                    "doing what was asked, as it does by the word."
                ],
                figures=[figures["damage"]],
                tables=[levels_table(results), controls_table(results)],
            ),
            *(_attribute_section(one, stored) for one in results.attributes),
            *([note_section(probes, notes)] if probes else []),
            *([stem_section(stems, protocols.accuracy)] if stems else []),
            Section(
                "Protocol",
                _protocol(results, details),
                tables=[
                    methods_table(results, details),
                    readings_table(results),
                    layer_sets_table(results),
                ],
            ),
            Section("Limits", _limits(results, details)),
        ],
    )


def _lead(results: Results, details: Mapping[str, Any]) -> list[str]:
    return [
        f"Checkpoint {details['model']} ({details['fingerprint']}) on {details['device']}; design "
        f"{details['design']}; {details['takes']:,.0f} takes of {details['seconds']:g} s, "
        f"{details['takes_per_hour']:,.0f} per hour.",
        "Every method steers every attribute at strengths at which the model's predictions diverge "
        "equally from the plain ones, so that methods are compared at equal damage. "
        f"{details['neutral']} neutral prompts choose the layer set of each method; "
        f"{details['held_out']} held-out prompts, which choose nothing, give the numbers, with 95 % "
        "intervals over prompts.",
        "An attribute has two readings by evaluators of different families, and a result counts "
        "where both agree. The bundled CLAP and the bundled beat tracker were trained on the same "
        "data and are one family; musicnn and basic-pitch were trained by others on real music.",
    ]


def _ranking_text(results: Results) -> list[str]:
    cells = sum(len(one.cells) for one in results.attributes)
    counted = sum(len(one.counted) for one in results.ranking)
    return [
        f"{counted} of {cells} cells count. An area beyond its interval in the attribute's sense is "
        "expected by chance in 1 of 40 cases of one reading; two readings of different families have "
        "to agree, and to exceed every random direction."
    ]


def ranking_table(results: Results) -> Table:
    """Rows by their score."""
    rows = []
    for place, one in enumerate(results.ranking, start=1):
        levels = [cell.points for cell in one.cells.values()]
        last = [points[-1] for points in levels]
        known = [point.kad for point in last if point.kad is not None]
        rows.append(
            [
                str(place),
                one.condition.name,
                area_text(one.score),
                f"{len(one.counted)} of {len(results.attributes)}",
                ", ".join(one.counted) or "none",
                ABSENT if isnan(one.mean) else f"{one.mean:+.2f}",
                f"{fmean(point.text.change for point in last):+.3f}",
                f"{fmean(known):.2f}" if known else ABSENT,
                f"{fmean(point.faulty.value for point in last):.0%}",
            ]
        )
    return Table(
        "ranking-table",
        "Rows by their score: the mean over attributes of the area under the curve of effect over "
        f"divergence up to {results.cutoff:g} nats per frame, in standard deviations of plain takes, "
        "where the cell counts, and 0 where it does not; its interval takes it as known which cells "
        "count. Beside it the mean area of all cells. The last three columns are means over attributes "
        "at the largest divergence.",
        ("", "method", "score", "counts", "in", "all cells", "text agreement", "KAD", "faulty"),
        rows,
    )


def cells_table(results: Results) -> Table:
    """Areas of every cell."""
    rows = []
    for one in results.attributes:
        for cell in one.ranked:
            first, second = one.attribute.readings
            rows.append(
                [
                    one.attribute.name,
                    cell.name,
                    cell.layer_set,
                    f"{first.name}: {area_text(cell.areas[first.name])}",
                    f"{second.name}: {area_text(cell.areas[second.name])}",
                    _random_text(cell.random[first.name]),
                    _random_text(cell.random[second.name]),
                    "yes" if cell.counts else f"no: {cell.reason}",
                ]
            )
    return Table(
        "cells",
        f"Areas up to {results.cutoff:g} nats per frame, in standard deviations of plain takes, and "
        "the largest of random directions at the same site and layer set.",
        (
            "attribute",
            "method",
            "layers",
            "first reading",
            "second reading",
            "random, first",
            "random, second",
            "counts",
        ),
        rows,
    )


def _random_text(found: Sequence[float]) -> str:
    known = [value for value in found if isfinite(value)]
    return f"{max(known):+.2f}" if known else ABSENT


def levels_table(results: Results) -> Table:
    """Every cell at every divergence."""
    rows = [
        [
            one.attribute.name,
            cell.name,
            f"{point.nats:.2f}",
            f"{point.facts['size']:.3g}",
            *(effect_text(point.changes[reading.name]) for reading in one.attribute.readings),
            *_damage(point),
        ]
        for one in results.attributes
        for cell in one.ranked
        for point in cell.points
    ]
    return Table(
        "levels",
        "Every method at rising divergence on held-out prompts: change of both readings in standard "
        "deviations of plain takes, change of the cosine of take and prompt, kernel distance to plain "
        "takes, and takes with a fault. The size is in units of its operator.",
        (
            "attribute",
            "method",
            "nats per frame",
            "size",
            "first reading",
            "second reading",
            *DAMAGE,
        ),
        rows,
    )


DAMAGE = ("text agreement", "KAD", "faulty")


def _damage(point: Point) -> list[str]:
    return [
        effect_text(point.text, 3),
        ABSENT if point.kad is None else f"{point.kad:.2f}",
        str(point.faulty),
    ]


def controls_table(results: Results) -> Table:
    """Words, signal processing, random directions and other seeds."""
    rows = []
    for one in results.attributes:
        points: list[tuple[str, Point | None]] = [
            (f'the word "{one.attribute.word}"', one.word),
            (_processing_text(one.processed), one.processed),
            ("plain takes of other seeds", one.seeds),
        ]
        rows += [
            [one.attribute.name, name, *_changes(one, point), *_damage(point)]
            for name, point in points
            if point is not None
        ]
        strongest = _strongest_random(one)
        if strongest is not None:
            name = (
                f"random direction with the largest change ({strongest.facts['layers']} layers, "
                f"{strongest.nats:.2f} nats)"
            )
            rows.append([one.attribute.name, name, *_changes(one, strongest), *_damage(strongest)])
    return Table(
        "controls",
        "Controls on the same prompts. Of all random directions, sites, layer sets and divergences "
        "the one with the largest mean change of both readings is shown: the best of "
        "many by chance.",
        ("attribute", "control", "first reading", "second reading", *DAMAGE),
        rows,
    )


def _processing_text(point: Point | None) -> str:
    if point is None:
        return ""
    values = ", ".join(f"{name} {value:g}" for name, value in point.facts["parameters"].items())
    return f"{point.facts['processing']} ({values})"


def _changes(one: AttributeResult, point: Point) -> list[str]:
    return [effect_text(point.changes[reading.name]) for reading in one.attribute.readings]


def _strongest_random(one: AttributeResult) -> Point | None:
    known = [point for point in one.random if isfinite(mean_change(one, point))]
    return max(known, key=lambda point: mean_change(one, point), default=None)


def _attribute_section(one: AttributeResult, stored: StoredStudy) -> Section:
    """Changes of an attribute on the axes of its readings, and takes of its best method."""
    rows = [
        [
            cell.name,
            f"{point.nats:.2f}",
            *(effect_text(point.raw[reading.name]) for reading in one.attribute.all_readings),
            effect_text(point.text, 3),
        ]
        for cell in one.ranked
        for point in cell.points
    ]
    rows += [
        [name, ABSENT, *_raw(one, point), effect_text(point.text, 3)]
        for name, point in (("word", one.word), ("processing", one.processed))
        if point is not None
    ]
    slug = one.attribute.name.replace(" ", "-")
    return Section(
        f"{one.attribute.name[0].upper()}{one.attribute.name[1:]}",
        tables=[
            Table(
                f"{slug}-readings",
                "Changes on the axes of the readings; those after the second are not needed for a cell "
                "to count.",
                (
                    "method",
                    "nats per frame",
                    *(f"{reading.name}, {reading.unit}" for reading in one.attribute.all_readings),
                    "text agreement",
                ),
                rows,
            )
        ],
        players=_players(one, stored),
    )


def _raw(one: AttributeResult, point: Point) -> list[str]:
    return [effect_text(point.raw[reading.name]) for reading in one.attribute.all_readings]


def _players(one: AttributeResult, stored: StoredStudy) -> list[Player]:
    """The first held-out prompt: plain, and by the best method at the middle divergence."""
    if not one.ranked:
        return []
    best = one.ranked[0]
    levels = [point.facts["nats"] for point in best.points]
    nats = levels[len(levels) // 2]
    chosen: dict[str, Sequence[Record]] = {
        f"{one.attribute.name}, plain": select(
            stored.records, experiment=PLAIN, split=HELD_OUT, round=0, prompt=0
        ),
        f"{one.attribute.name}, {best.name}, {nats:g} nats": select(
            stored.records,
            experiment=REPORTED,
            attribute=one.attribute.name,
            condition=best.name,
            nats=nats,
            prompt=0,
        ),
        f"{one.attribute.name}, word": select(
            stored.records, experiment=WORD, attribute=one.attribute.name, prompt=0
        ),
    }
    known = {title: takes[0] for title, takes in chosen.items() if takes}
    clips = level_matched([stored.clip(take) for take in known.values()])
    return [
        Player(title, "audio/ogg", clip.encoded(".ogg"))
        for title, clip in zip(known, clips, strict=True)
    ]


def _protocol(results: Results, details: Mapping[str, Any]) -> list[str]:
    return [
        "Directions of prompts are read at the end of the text, from the bundled pairs; those of "
        "drums from rendered pieces with and without drums, as means over frames. Every steered layer "
        "has its own direction, on both guidance branches. Operators are compared on DiffMean: slerp "
        "turns an activation by a share of its angle to the direction, set holds the projection at a "
        "level, and the others add.",
        "Divergence is KL(steered || plain) per frame, teacher-forced on the codes of plain takes. "
        "Strengths are interpolated to its levels on neutral prompts, and the divergence that enters "
        "the curves is measured on the held-out takes themselves. Layer sets (all, early, middle and "
        f"late third) are compared at {details['choice']:g} nats by the mean standardised change of "
        "both readings.",
        f"A change is against the mean of {details['plain_seeds']} plain takes of the same prompt, "
        "over the standard deviation of the reading among plain takes. The area under the curve from "
        f"the origin to {results.cutoff:g} nats is divided by that cutoff: trapezoids, an interpolated "
        "end point, the last value where a curve ends earlier, no clipping. Its interval is of a "
        "bootstrap over prompts with expanded percentiles.",
        "A random direction is the same in every layer of a set, with the mean length of the "
        "activations there, at the same divergences. KAD is by the bundled CLAP, of "
        f"{details['held_out']} takes against {details['held_out'] * details['plain_seeds']} plain ones.",
    ]


def _limits(results: Results, details: Mapping[str, Any]) -> list[str]:
    found = [
        f"One small checkpoint, {details['held_out']} held-out prompts and one take of each: areas "
        "that differ by less than their intervals are not ranked by this study, and KAD of so few "
        "takes is coarse.",
        "Layer sets were chosen among four by few takes; the choice is noisy, and equally so for all "
        "methods that have it.",
        "The best method of an attribute is the best of many on the prompts that it is reported on; its "
        "comparison with the word is to that extent too favourable.",
        "A monitored steer follows its own take and has no divergence on a plain one, so that SMITIN "
        "enters the ranking without its loop, and the loop is compared by success and distance alone.",
        "The word in the prompt has no divergence of its own kind: predictions are compared with those "
        "of another prompt. It is shown as a level.",
    ]
    left_out = details["left_out"]
    if left_out:
        found.append(
            "Left out: "
            + "; ".join(f"{name} ({reason})" for name, reason in left_out.items())
            + "."
        )
    if not details["notes"]:
        found.append(
            "basic-pitch is not installed: density has two onset detectors as its readings, which "
            "are of one family."
        )
    return found


def methods_table(results: Results, details: Mapping[str, Any]) -> Table:
    """Methods, with the reasons of those that are left out."""
    present = {one.condition.candidate.name for one in results.ranking}
    rows = []
    for one in candidates(None, 0):
        reasons = {
            name.removesuffix(f", {one.name}"): reason
            for name, reason in details["left_out"].items()
            if name.endswith(f", {one.name}")
        }
        rows.append(
            [
                one.name,
                one.title,
                one.site,
                ", ".join(operator.name for operator in one.operators),
                "chosen" if len(one.layer_sets) > 1 else one.layer_sets[0],
                "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
                or ("" if one.name in present else "no takes"),
            ]
        )
    return Table(
        "methods",
        "Methods. Where one finds no direction of an attribute, its cell has no area and counts as 0.",
        ("method", "estimator", "site", "operators", "layers", "left out"),
        rows,
    )


def readings_table(results: Results) -> Table:
    """Readings of every attribute."""
    return Table(
        "readings",
        "Readings of each attribute: family of the evaluator, axis, sense, and standard deviation over "
        "plain takes.",
        ("attribute", "reading", "family", "axis", "sense", "deviation", "needed"),
        [
            [
                one.attribute.name,
                reading.name,
                reading.family,
                reading.unit,
                "rises" if reading.sense > 0 else "falls",
                f"{one.plain[reading.name]:.3g}",
                "yes" if reading in one.attribute.readings else "no",
            ]
            for one in results.attributes
            for reading in one.attribute.all_readings
        ],
    )


def layer_sets_table(results: Results) -> Table:
    """Scores of the layer sets on neutral prompts."""

    def score(cell: CellResult, name: str) -> str:
        found = cell.tried.get(name)
        return ABSENT if found is None or isnan(found) else f"{found:+.2f}"

    return Table(
        "layer-sets",
        "Mean standardised change of both readings on neutral prompts by layer set, and the chosen "
        "one.",
        ("attribute", "method", *LAYER_SETS, "chosen"),
        [
            [
                one.attribute.name,
                cell.name,
                *(score(cell, name) for name in LAYER_SETS),
                cell.layer_set,
            ]
            for one in results.attributes
            for cell in one.cells
            if len(cell.condition.candidate.layer_sets) > 1
        ],
    )
