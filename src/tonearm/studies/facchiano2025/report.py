"""Report of the study: sections in the order of the paper."""

import io
from collections.abc import Callable, Mapping, Sequence
from math import isnan
from statistics import fmean
from typing import Any

import soundfile

from tonearm.audio import Clip
from tonearm.report.claims import claims_tables
from tonearm.report.levels import level_matched
from tonearm.report.study_page import Player, Report, Section
from tonearm.report.table import Table
from tonearm.stats.effect import Effect
from tonearm.studies.facchiano2025.analysis import Results
from tonearm.studies.facchiano2025.claims import all_claims, percent
from tonearm.studies.facchiano2025.design import (
    MEASURE,
    PAIR,
    PAPER,
    SIGNS,
    TABLE_1,
)
from tonearm.studies.facchiano2025.figures import POLES, all_figures, spectrograms
from tonearm.studies.facchiano2025.rows import Distance, Row, Spread
from tonearm.studies.records import Record, select

BRIGHTNESS = ("plain", *POLES["brightness"].values())  # takes of fig. 9
SMOKE = "Smoke run: it shows that everything runs, and its numbers mean nothing."


def make_report(
    results: Results,
    records: Sequence[Record],
    details: Mapping[str, Any],
    clip: Callable[[Record], Clip],
) -> Report:
    """Write the report.

    Args:
        results: numbers of the study.
        records: of which some takes are played.
        details: of the run: model, fingerprint, design, takes, hours, takes_per_hour.
        clip: reads the audio of a record's take.
    """
    figures = all_figures(results)
    shown = _shown(records, clip)
    return Report(
        title=f"{PAPER} on {details['model']}",
        warning=SMOKE if details["design"] == "smoke" else "",
        lead=_lead(details),
        sections=[
            Section("Claims", tables=claims_tables(all_claims(results))),
            Section(
                "Activations (fig. 2 and 6)",
                figures=[figures["2"], figures["6"]],
                tables=[geometry_table(results)],
            ),
            Section(
                "Equal divergence",
                [
                    "Raw strengths say little where every direction of a norm overdrives the model. "
                    "Layers, strategies and branches are therefore compared at equal divergence of "
                    "the predictions, teacher-forced on plain takes."
                ],
                [figures["divergence"]],
            ),
            Section(
                "Controls of the experiments on neutral prompts",
                tables=[
                    controls_table(
                        "neutral-controls", "Controls on neutral prompts", results.neutral_controls
                    )
                ],
            ),
            Section("Layers (fig. 4)", figures=[figures["4"]], tables=[layers_table(results)]),
            Section(
                "Strengths (fig. 5 and 7)",
                figures=[figures["5"], figures["7"]],
                tables=[strengths_table(results)],
            ),
            Section(
                "Strategies, branches and steps (3.3, A.1, A.2)",
                tables=[variants_table(results), contrasts_table(results)],
            ),
            Section("Prompt sets (fig. 8)", figures=[figures["8"]], tables=[sizes_table(results)]),
            Section(
                "Table 1 and spectrograms (fig. 9), on held-out prompts",
                tables=[
                    table_1(results),
                    controls_table("controls", "Controls on held-out prompts", results.controls),
                ],
                figures=[
                    spectrograms(
                        {title: one for title, one in shown.items() if title in BRIGHTNESS}
                    )
                ],
                players=_players(shown),
            ),
            Section(
                "Further pairs (5.2)", figures=[figures["leakage"]], tables=[pairs_table(results)]
            ),
            Section("Combinations (6)", figures=[figures["grid"]], tables=[both_table(results)]),
        ],
    )


def _lead(details: Mapping[str, Any]) -> list[str]:
    return [
        f"Checkpoint {details['model']} ({details['fingerprint']}) on {details['device']}; design "
        f"{details['design']}; {details['takes']} takes of {details['seconds']:g} s, "
        f"{details['takes_per_hour']:,.0f} per hour. At that rate the 20,000 takes of each pair of "
        f"the paper would take {20_000 / details['takes_per_hour']:.1f} hours.",
        "Every change is against plain takes of the same prompts and seeds, with a 95 % t-interval "
        "over prompts: of BPM and Hz the geometric mean of the ratios, of rates the ratio of the "
        "means, of scores the difference. Best layers, and strengths of equal divergence, are chosen on "
        "neutral prompts; the held-out prompts are used once. Layers are counted from 0.",
        "The bundled beat tracker and CLAP were trained on pocket's own corpus and count as one "
        "family; onset rate, centroid, faults and musicnn's tags are independent of them. The "
        "paper's numbers are of another checkpoint, tracker and embedding: they are shown, and not "
        "comparable.",
    ]


def geometry_table(results: Results) -> Table:
    rows = [
        [
            pair,
            " ".join(map(str, geometry.blocks.labels)),
            f"{geometry.blocks.silhouette:.2f}",
            f"{geometry.blocks.within:.2f}",
            f"{geometry.blocks.between:.2f}",
            " ".join(f"{value:.1f}" for value in geometry.separations),
            " ".join(f"{value:.2f}" for value in geometry.halves),
        ]
        for pair, geometry in results.geometry.items()
    ]
    return Table(
        "geometry",
        "Directions by layer: blocks found by clustering, mean cosines within and between them, "
        "separation d' of the prompt sets, and cosine of the directions of halves of the prompts.",
        ("pair", "block of each layer", "silhouette", "within", "between", "d'", "halves"),
        rows,
    )


def layers_table(results: Results) -> Table:
    rows = [
        [
            pair,
            f"{one.layer}{' (best)' if one.layer == results.best[pair] else ''}",
            POLES[pair][one.sign],
            f"{one.strength:g}",
            percent(one.effect),
            str(one.effect.n),
            _text(one.score, ".1f"),
            "yes" if certain else "no",
        ]
        for pair, effects in results.scan.items()
        for one, certain in zip(effects, results.certain[pair], strict=True)
    ]
    return Table(
        "layers",
        "Each layer's direction in all layers at equal divergence; the best layer has the highest "
        "mean t-statistic of both signs; certain at a false discovery rate of 5 % over the scan.",
        ("pair", "layer", "towards", "λ", "change", "n", "t", "certain"),
        rows,
    )


def strengths_table(results: Results) -> Table:
    rows = [
        [
            POLES[row.facts["pair"]][row.facts["sign"]],
            f"{row.facts['strength']:g}",
            _text(row.divergence, ".2f"),
            percent(row.effect),
            percent(row.second),
            _text(distance.fad, ".2f"),
            _text(distance.kad, ".2f"),
            f"{row.text.change:+.2f}",
            str(row.faulty),
            f"{1 + row.pulse.change:.2f}",
            str(row.confirmed),
        ]
        for row, distance in results.strengths
    ]
    return Table(
        "strengths",
        "One-to-all from the best layer on neutral prompts: the paper's measure (in takes with a "
        "confirmed beat for BPM), a second measure (onset rate, or the centroid), and damage.",
        (
            "towards",
            "λ",
            "nats per frame",
            "change",
            "second measure",
            "FAD",
            "KAD",
            "CLAP score",
            "faulty",
            "pulse clarity",
            "confirmed beat",
        ),
        rows,
    )


def variants_table(results: Results) -> Table:
    rows = [[row.facts["experiment"], *_condition(row), *_numbers(row)] for row in results.variants]
    return Table(
        "variants",
        "Strategies and guidance branches at equal divergence, and steps at equal strength, on "
        "neutral prompts.",
        ("experiment", *CONDITION, *NUMBERS),
        rows,
    )


def sizes_table(results: Results) -> Table:
    rows = [
        [
            POLES[one.pair][one.sign],
            str(one.size),
            f"{100 * one.mean:+.0f} %",
            _text(100 * one.deviation, ".0f"),
            str(len(one.changes)),
        ]
        for one in results.sizes
    ]
    return Table(
        "sizes",
        "Directions of few prompts: change of the onset rate or the centroid, mean and standard "
        "deviation (points) over draws.",
        ("towards", "prompts per side", "mean", "deviation", "draws"),
        rows,
    )


def table_1(results: Results) -> Table:
    rows = []
    for pair in PAIR.values():
        mean, deviation = results.plain[MEASURE[pair]]
        paper = TABLE_1[pair, ""]
        rows.append(
            [
                pair,
                "plain",
                "",
                _moments(mean, deviation),
                "",
                _text(results.floor.fad, ".2f"),
                str(results.plain_faulty),
                f"{paper[0]:.0f} ± {paper[1]:.0f}",
                "",
                "",
            ]
        )
        rows += [
            _steered(pair, row, distance)
            for row, distance in results.table_1
            if row.facts["pair"] == pair
        ]
    return Table(
        "table1",
        f"Table 1 on held-out prompts: λ of the paper, and λ of equal divergence; FAD against "
        f"unsteered takes of other seeds. On the right the paper's numbers, which are not comparable "
        f"({PAPER}).",
        (
            "attribute",
            "towards",
            "λ",
            "mean ± deviation",
            "change",
            "FAD",
            "faulty",
            "paper: mean ± deviation",
            "paper: change",
            "paper: FAD",
        ),
        rows,
    )


def _steered(pair: str, row: Row, distance: Distance) -> list[str]:
    sign = row.facts["sign"]
    cells = [
        pair,
        POLES[pair][sign],
        f"{row.facts['strength']:g} ({row.facts['rule']})",
        _moments(row.effect.mean, row.effect.deviation),
        percent(row.effect),
        _text(distance.fad, ".2f"),
        str(row.faulty),
    ]
    if row.facts["rule"] != "paper":
        return [*cells, "", "", ""]
    mean, deviation, change, fad = TABLE_1[pair, sign]
    return [*cells, f"{mean:.0f} ± {deviation:.0f}", f"{100 * (change or 0):+.0f} %", f"{fad:.2f}"]


CONDITION = ("condition", "towards", "λ")
NUMBERS = ("change", "second measure", "CLAP score", "faulty", "pulse clarity")


def _condition(row: Row) -> list[str]:
    pair, sign, strength = (row.facts.get(name) for name in ("pair", "sign", "strength"))
    towards = POLES[pair][sign] if pair in POLES and sign else f"({pair})"
    return [row.facts["variant"], towards, "" if strength is None else f"{strength:g}"]


def _numbers(row: Row) -> list[str]:
    return [
        percent(row.effect),
        percent(row.second),
        _difference(row.text),
        str(row.faulty),
        f"{1 + row.pulse.change:.2f}",
    ]


def controls_table(name: str, title: str, controls: Sequence[Row | Spread]) -> Table:
    rows = [
        _spread_cells(one) if isinstance(one, Spread) else [*_condition(one), *_numbers(one)]
        for one in controls
    ]
    return Table(
        name,
        f"{title}: no steering with other seeds, random directions (mean and range over directions) "
        "at equal norm, which is the vector's strength, and at equal divergence, the word in the "
        "prompt, and signal processing matched to the vector's mean effect.",
        (*CONDITION, *NUMBERS),
        rows,
    )


def _spread_cells(one: Spread) -> list[str]:
    def spread(changes: Sequence[float]) -> str:
        mean, low, high = (100 * value for value in (fmean(changes), min(changes), max(changes)))
        return f"{mean:+.0f} % ({low:+.0f} to {high:+.0f})"

    strengths = [row.facts["strength"] for row in one.rows]
    known = [row.effect.change for row in one.rows if not isnan(row.effect.change)]
    return [
        f"{len(one.rows)} random directions, {one.facts['rule']}; {one.as_far} as far",
        POLES[one.facts["pair"]][one.facts["sign"]],
        f"{fmean(strengths):.3g}",
        spread(known) if known else "–",
        spread([row.second.change for row in one.rows]),
        f"{fmean(row.text.change for row in one.rows):+.2f}",
        str(one.faulty),
        f"{1 + fmean(row.pulse.change for row in one.rows):.2f}",
    ]


def contrasts_table(results: Results) -> Table:
    rows = [
        [
            POLES[one.pair][one.sign],
            one.better,
            one.worse,
            percent(one.effect),
            f"{one.effect.p:.2g}",
        ]
        for one in results.contrasts
    ]
    return Table(
        "contrasts",
        "Variants against one another by the onset rate or the centroid, paired by prompt and seed.",
        ("towards", "variant", "against", "difference", "p"),
        rows,
    )


def pairs_table(results: Results) -> Table:
    rows = [
        [
            one.pair,
            one.sign,
            f"{one.strength:g}",
            str(one.accuracy),
            f"{_difference(one.change)}{'' if one.certain else ' (not certain)'}",
            _difference(one.word) if one.word else "–",
            f"{min(one.random):+.2f} to {max(one.random):+.2f}" if one.random else "–",
            str(one.row.faulty),
            f"{one.row.text.change:+.2f}",
        ]
        for one in results.pairs
    ]
    return Table(
        "pairs",
        "Every pair, all-to-all at equal divergence: accuracy of a classifier of its two poles on "
        "takes of prompts that did not train it, and change of the mean probability of the positive "
        "pole by the vector, by the pole's word in the prompt, and by random directions of equal "
        "divergence (range); certain at a false discovery rate of 5 % over the table.",
        (
            "pair",
            "sign",
            "λ",
            "classifier right",
            "probability",
            "by the word",
            "by random directions",
            "faulty",
            "CLAP score",
        ),
        rows,
    )


def both_table(results: Results) -> Table:
    rows = [
        [row.facts["variant"], *_numbers(row), percent(centroid)]
        for row, centroid in results.fast_dark
    ]
    return Table(
        "fast-dark",
        "Fast but dark on held-out prompts, by two vectors, two words, two random directions at the "
        "vectors' strengths, and signal processing matched to the two vectors.",
        ("condition", *NUMBERS, "centroid"),
        rows,
    )


def _shown(records: Sequence[Record], clip: Callable[[Record], Clip]) -> dict[str, Clip]:
    """Takes of the first held-out prompt at one loudness: plain, and both signs of both pairs."""
    chosen = {"plain": select(records, experiment="held-out plain", prompt=0)}
    for pair in PAIR.values():
        for sign in SIGNS:
            chosen[POLES[pair][sign]] = select(
                records, experiment="table 1", pair=pair, sign=sign, rule="equal", prompt=0
            )
    clips = level_matched([clip(takes[0]) for takes in chosen.values()])
    return dict(zip(chosen, clips, strict=True))


def _players(shown: Mapping[str, Clip]) -> list[Player]:
    return [Player(title, "audio/ogg", _ogg(clip)) for title, clip in shown.items()]


def _ogg(clip: Clip) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, clip.samples.T, clip.sample_rate, format="OGG", subtype="VORBIS")
    return file.getvalue()


def _moments(mean: float, deviation: float) -> str:
    return f"{_text(mean, '.0f')} ± {_text(deviation, '.0f')}"


def _difference(effect: Effect) -> str:
    return f"{effect.change:+.2f} [{effect.low:+.2f}, {effect.high:+.2f}]"


def _text(value: float | None, form: str) -> str:
    return "–" if value is None or isnan(value) else f"{value:{form}}"
