"""Report of the effects study: `effects.md` with three figures, and two tables of the README.

Every number is computed from the records; the page has no findings in words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.model import Model
from tonearm.studies.effects_evaluators import (
    EvaluatorSummary,
    clap_accuracies,
    summarise,
    tracker_accuracies,
)
from tonearm.studies.effects_figures import (
    draw_figure,
    draw_spreads,
    effect_panels,
    evaluator_panels,
)
from tonearm.studies.effects_random import BOTH, DIFFERENCES, Spread, spreads
from tonearm.studies.effects_trials import (
    ATTRIBUTES,
    BOOTSTRAP_FROM,
    FIRST_SEED,
    GENTLE,
    OTHER_SEED,
    RANDOM_SEEDS,
    RECORDS,
    RESAMPLES,
    Condition,
    Effect,
    Record,
    conditions,
    effect,
    of_condition,
    random_condition,
    random_conditions,
    references,
    values,
)

MEASURES = (("tempo", "BPM"), ("onset_rate", "onsets/s"), ("spectral_centroid", "Hz"))
DECIMALS = {"tempo": 0, "onset_rate": 2, "spectral_centroid": 0}
ATTRIBUTE_MEASURES = {
    "tempo": ("tempo", "bundled_tempo", "onset_rate"),
    "brightness": ("spectral_centroid",),
}
ATTRIBUTE_WORDS = {"tempo": ("fast", "slow"), "brightness": ("bright", "dark")}
TITLES = {
    "tempo": "BPM, librosa",
    "bundled_tempo": "BPM, bundled tracker",
    "onset_rate": "onsets per s",
    "spectral_centroid": "spectral centroid, Hz",
    "clap_score": "CLAP score",
}
COST = "cost: CLAP score, bundled CLAP"
PUBLISHED = (
    "Facchiano et al. 2025 (Table 1, the released musicgen-melody, Beat This!, strength 1.25): "
    "tempo -36 % / +30 %, centroid +20 % / -40 %."
)


@dataclass(frozen=True)
class Results:
    """Numbers of the study.

    Attributes:
        conditions: that have records; the first is no steering.
        effects: by condition and measure, against no steering.
        summaries: by condition, by the bundled evaluators.
        contrasts: of the two signs of each attribute's vector and words: labels of both
            conditions, and the effect of the first against the second by measure.
        spreads: of the random directions, beside the vectors on the same prompts.
    """

    conditions: tuple[Condition, ...]
    effects: Mapping[tuple[str, str], Effect]
    summaries: Mapping[str, EvaluatorSummary]
    contrasts: tuple[tuple[str, str, Mapping[str, Effect]], ...]
    spreads: tuple[Spread, ...]


def analyse(records: Sequence[Record], strength: float) -> Results:
    """Compute the numbers of the study.

    Args:
        records: of the study, with those of no steering.
        strength: of its vectors.

    Returns:
        The results.

    Raises:
        TonearmError: there are no records of no steering.
    """
    present = {record["condition"] for record in records}
    found = tuple(one for one in conditions(strength) if one.name in present)
    if not found or found[0].name != "plain":
        raise TonearmError("the study has no takes without steering; run its condition plain first")
    measures = [*(measure for measure, _ in MEASURES), "bundled_tempo"]
    effects = {
        (one.name, measure): effect(
            values(records, "plain", measure), values(records, one.name, measure)
        )
        for one in found
        for measure in measures
    }
    return Results(
        found,
        effects,
        summarise(records, found),
        tuple(_contrasts(records, found)),
        tuple(spreads(records, strength)),
    )


def _contrasts(
    records: Sequence[Record], found: Sequence[Condition]
) -> list[tuple[str, str, Mapping[str, Effect]]]:
    labels = {condition.name: condition.label for condition in found}
    size = f"{GENTLE[-1]:g}"
    contrasts: list[tuple[str, str, Mapping[str, Effect]]] = []
    for attribute in ATTRIBUTES:
        more, less = ATTRIBUTE_WORDS[attribute]
        for up, down in (
            (f"{attribute}+{size}", f"{attribute}-{size}"),
            (f"word-{more}", f"word-{less}"),
        ):
            if up in labels and down in labels:
                effects = {
                    measure: effect(values(records, down, measure), values(records, up, measure))
                    for measure in ATTRIBUTE_MEASURES[attribute]
                }
                contrasts.append((labels[up], labels[down], effects))
    return contrasts


def write_report(
    records: Sequence[Record],
    model: Model,
    strength: float,
    seconds: float,
    folder: Path,
    readme: Path | None = None,
) -> Results:
    """Write the page, its figures and the README's tables.

    Args:
        records: of the study.
        model: that generated the takes.
        strength: of the vectors.
        seconds: of each take.
        folder: of effects.md, effects.png, effects-evaluators.png and effects-random.png.
        readme: a README with the marks of the tables; none for no tables.

    Returns:
        The numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = analyse(records, strength)
    steered = results.conditions[1:]
    draw_figure(steered, effect_panels(results.effects, steered, MEASURES), folder / "effects.png")
    panels = evaluator_panels(results.summaries, results.conditions)
    draw_figure(steered, panels, folder / "effects-evaluators.png")
    if results.spreads:
        draw_spreads(results.spreads, TITLES, folder / "effects-random.png")
    text = _page(records, results, _protocol(records, model, strength, seconds), strength)
    with atomic_write(folder / "effects.md") as partial:
        partial.write_text(text, encoding="utf-8")
    if readme:
        write_readme(readme, results)
    return results


def _protocol(records: Sequence[Record], model: Model, strength: float, seconds: float) -> str:
    shape, own = model.shape, model.sampling()
    takes = len(of_condition(records, "plain"))
    layers = ", ".join(f"{name} {model.vectors[name].info.best_layer}" for name in ATTRIBUTES)
    counts = model.vectors[ATTRIBUTES[0]].info
    return (
        f"Protocol: checkpoint {shape.public_name} ({shape.fingerprint}), {takes} held-out prompts, "
        f"one take of {seconds:g} s each, seeds {FIRST_SEED} to {FIRST_SEED + takes - 1}, "
        f'equal in every condition but "other seeds" (from {OTHER_SEED}); '
        f"guidance {own.guidance:g}, temperature {own.temperature:g}, top-k {own.top_k}.\n"
        f"DiffMean from {counts.positive_count} + {counts.negative_count} prompts, pooling "
        f"{counts.pooling}, one-to-all from layer (0-based): {layers}, chosen on neutral prompts; "
        f"strength {strength:g} and as named; both guidance branches.\n"
        f"{_random_protocol(records, strength)}"
        "Tempo by librosa's beats and their best-fitting pulse; brightness as spectral centroid.\n"
        "Mean ± standard deviation over prompts; change of the mean with its 95 % interval from a "
        f"bootstrap paired by prompt ({RESAMPLES} draws), or, under {BOOTSTRAP_FROM} prompts, a paired t-interval.\n"
        f"Fingerprints: {records[0]['protocol']}."
    )


def _random_protocol(records: Sequence[Record], strength: float) -> str:
    names = {condition.name for condition in random_conditions(strength)}
    prompts = {record["prompt"] for record in records if record["condition"] in names}
    if not prompts:
        return ""
    seeds = "; ".join(
        f"{len(RANDOM_SEEDS[one])} with the norm of the direction of {one} at its best layer, "
        f"seeds {RANDOM_SEEDS[one][0]} to {RANDOM_SEEDS[one][-1]}"
        for one in ATTRIBUTES
    )
    return f"Random directions, on the first {len(prompts)} of the prompts: {seeds}.\n"


def _page(records: Sequence[Record], results: Results, protocol: str, strength: float) -> str:
    lines = [
        "# Effect of steering, beside its controls",
        "",
        "This page is written by `python -m tonearm.studies.effects --docs docs/studies`.",
        f"The records of all takes are in [{RECORDS}]({RECORDS}); with `--records` and that file, "
        "the command draws the page again without generating.",
        "",
        protocol,
        "",
        "![Change of tempo, onset rate and spectral centroid by condition](effects.png)",
        "",
        *_effects_table(results),
        "",
        "## Positive against negative sign",
        "",
        *(
            f"- {up} against {down}: "
            + "; ".join(f"{TITLES[name]} {change_text(one)}" for name, one in effects.items())
            for up, down, effects in results.contrasts
        ),
        *(_spread_sentence(one) for one in results.spreads if _is_own_contrast(one)),
        "",
        PUBLISHED,
        "",
        *_random_section(results),
        *_evaluator_section(results),
        "",
        "## Quality",
        "",
        "Loudness and beat regularity are means; beat regularity is 1 for a metronome and 0 for "
        "random times.",
        "A faulty take is silent or clipped, or has a DC offset.",
        "",
        *_quality_table(records, results, strength),
    ]
    return "\n".join(lines) + "\n"


def _effects_table(results: Results) -> list[str]:
    headings = ["condition", "BPM", "change", "n", "onsets per s", "change"]
    rows = []
    for condition in results.conditions:
        cells = [condition.label]
        for measure, _ in MEASURES:
            found = results.effects[condition.name, measure]
            cells.append(mean_text(found, DECIMALS[measure]))
            cells.append("" if condition.name == "plain" else change_text(found))
            if measure == "tempo":
                cells.append(str(found.n))
        rows.append(cells)
    return table([*headings, "centroid, Hz", "change"], rows)


def _is_own_contrast(spread: Spread) -> bool:
    return (
        spread.sign == BOTH
        and spread.size == GENTLE[-1]
        and spread.measure in ATTRIBUTE_MEASURES[spread.attribute]
    )


def _spread_sentence(spread: Spread) -> str:
    size, count = f"{spread.size:g}", len(spread.directions)
    return (
        f"- {count} random directions, norm of {spread.attribute}, +{size} against -{size}: "
        f"{TITLES[spread.measure]} {spread_text(spread)} (mean and range); the vector on the same "
        f"prompts {change_text(spread.vector)}; {spread.exceedance} of {count} move it as far"
    )


def _random_section(results: Results) -> list[str]:
    """Tables of every direction's change, one per strength and attribute."""
    if not results.spreads:
        return []
    groups: dict[tuple[float, str], list[Spread]] = {}
    for spread in results.spreads:
        groups.setdefault((spread.size, spread.attribute), []).append(spread)
    tables = []
    for (size, attribute), members in groups.items():
        seeds = list(members[0].directions)
        rows = [
            [
                TITLES[one.measure],
                one.sign if one.sign == BOTH else f"{one.sign}{size:g}",
                _interval_text(one),
                _change_number(one, one.mean),
                f"{_change_number(one, min(one.changes))} to "
                f"{_change_number(one, max(one.changes))}",
                f"{one.exceedance} of {len(seeds)}",
                *(_change_number(one, change) for change in one.changes),
            ]
            for one in members
        ]
        headings = ["measure", "sign", f"{attribute} vector", "mean", "range", "as far"]
        tables += [
            f"Strength {size:g}, norm of {attribute}:",
            "",
            *table([*headings, *(f"seed {seed}" for seed in seeds)], rows),
            "",
        ]
    return [
        "## Random directions",
        "",
        "A random direction has no sign of its own, and directions differ, so that the vector is "
        "compared with the spread over directions.",
        "Each cell is the change of the mean over the prompts of the random directions, paired by "
        "prompt: against no steering for one sign, + against - for ±; of the CLAP score a "
        "difference.",
        "The vector's change is on the same prompts, with its 95 % interval.",
        "As far: directions that move the measure at least as far as the vector, in its own sense "
        "for one sign, in either sense for ±; if the vector were one more random direction, none of "
        "ten would be as far in one case of eleven.",
        "",
        "![Change by each random direction and by the vectors](effects-random.png)",
        "",
        *tables,
    ]


def _interval_text(spread: Spread) -> str:
    text = difference_text if spread.measure in DIFFERENCES else change_text
    return text(spread.vector)


def _change_number(spread: Spread, change: float) -> str:
    return f"{change:+.2f}" if spread.measure in DIFFERENCES else f"{change:+.0%}"


def _evaluator_section(results: Results) -> list[str]:
    plain = results.summaries["plain"]
    card = "../../src/tonearm/assets/evaluators/README.md"
    trackers = tracker_accuracies()
    pieces = next(iter(trackers.values()))["n"]
    tracker_text = ", ".join(
        f"{name} {one['value']:.0%} [{one['low']:.0%}, {one['high']:.0%}]"
        for name, one in trackers.items()
    )
    clap_text = ", ".join(f"{name} {one['value']:.0%}" for name, one in clap_accuracies().items())
    seeds = ", ".join(str(condition.first_seed) for condition in references())
    reference = plain.takes * len(references())
    protocols = "; ".join(one.protocol for one in (plain.fad, plain.kad) if one)
    rows = [
        _evaluator_cells(condition, results.summaries[condition.name])
        for condition in results.conditions
    ]
    return [
        "## By the bundled evaluators",
        "",
        f"The same takes, by the [bundled evaluators]({card}), which were trained on pocket's "
        "corpus.",
        "",
        "- **Tempo** by the bundled beat tracker, a small Beat This!. Tempi within 4 % of "
        f"{pieces} held-out rendered pieces, decoded by pocket's codec, from the model card: "
        f"{tracker_text}.",
        "- **As librosa**: share of the takes with both tempi in which the two trackers agree "
        "within 4 %, and within 4 % up to an octave.",
        "- **CLAP score** by the bundled CLAP: cosine of a take and its own prompt, with the word "
        "where a word was put in; its change is a difference. With the next prompt's text "
        f"instead, unsteered takes have {mean_text(plain.clap_score_other_text, 2)}. "
        f"Accuracy per attribute, from the model card: {clap_text}.",
        f"- **FAD** of each condition's {plain.takes} takes: to the {plain.takes} unsteered takes "
        f"of the same seeds, and to the reference of {reference} unsteered takes of the same "
        f"prompts with other seeds (from {seeds}). **KAD** to that reference. Small sets are "
        "biased upwards; the floor is no steering with other seeds in the first column, and no "
        "steering in the others. The distance measures change, not quality, and compares pocket "
        f"with itself. Of no steering: {protocols}.",
        "",
        "![Change of tempo, CLAP score and FAD by condition](effects-evaluators.png)",
        "",
        *table(
            [
                *("condition", "BPM, bundled tracker", "change", "takes with a tempo"),
                *("as librosa", "CLAP score", "change"),
                *("FAD, same seeds", "FAD, other seeds", "KAD, other seeds"),
            ],
            rows,
        ),
    ]


def _evaluator_cells(condition: Condition, summary: EvaluatorSummary) -> list[str]:
    is_plain = condition.name == "plain"
    same = summary.agreement_with_librosa
    distances = [
        "–" if one is None else f"{one.value:.3f}" for one in (summary.fad_same_seeds, summary.fad)
    ]
    return [
        condition.label,
        mean_text(summary.tempo, 0),
        "" if is_plain else change_text(summary.tempo),
        f"{summary.tempo_count} of {summary.takes}",
        f"{same.accuracy_1.value:.0%}, {same.accuracy_2.value:.0%}" if same else "–",
        mean_text(summary.clap_score, 2),
        "" if is_plain else difference_text(summary.clap_score),
        *distances,
        "–" if summary.kad is None else f"{summary.kad.value:.1f}",
    ]


def _quality_table(records: Sequence[Record], results: Results, strength: float) -> list[str]:
    groups = [(one.label, of_condition(records, one.name)) for one in results.conditions]
    for size, suffix in ((strength, ""), (GENTLE[-1], f"{GENTLE[-1]:g}")):
        for attribute in ATTRIBUTES:
            for sign in "+-":
                names = [
                    random_condition(attribute, sign, suffix, seed)
                    for seed in RANDOM_SEEDS[attribute]
                ]
                takes = [take for name in names for take in of_condition(records, name)]
                label = f"random directions, norm of {attribute}, {sign}{size:g}"
                groups += [(label, takes)] if takes else []
    rows = []
    for label, takes in groups:
        without_tempo = sum(take["tempo"]["value"] is None for take in takes)
        faulty = sum(bool(take["faults"]) for take in takes)
        means = [
            _mean([take[measure]["value"] for take in takes])
            for measure in ("loudness", "beat_regularity")
        ]
        counts = [f"{count} of {len(takes)}" for count in (without_tempo, faulty)]
        rows.append([label, *means, *counts])
    headings = ["condition", "loudness, LUFS", "beat regularity", "no tempo", "faulty takes"]
    return table(headings, rows)


def readme_table(attribute: str, results: Results) -> list[str]:
    """Make a table of effect, control and cost of one attribute at the gentlest strength.

    Args:
        attribute: "tempo" or "brightness".
        results: of the study.

    Returns:
        Lines of Markdown.
    """
    measures, size = ATTRIBUTE_MEASURES[attribute], f"{GENTLE[-1]:g}"
    vectors = {f"{attribute}{sign}{size}": f"**{attribute} {sign}{size}**" for sign in "+-"}
    words = {f"word-{word}": f'word "{word}"' for word in ATTRIBUTE_WORDS[attribute]}
    decimals = {"onset_rate": 1}
    rows = [
        [
            "no steering",
            *(f"{results.effects['plain', one].mean:.{decimals.get(one, 0)}f}" for one in measures),
            f"{results.summaries['plain'].clap_score.mean:.2f}",
        ]
    ]

    def effect_row(name: str, label: str) -> list[str]:
        changes = [change_text(results.effects[name, measure]) for measure in measures]
        return [label, *changes, difference_text(results.summaries[name].clap_score)]

    rows += [effect_row(name, label) for name, label in vectors.items()]
    random = {(one.attribute, one.size, one.sign, one.measure): one for one in results.spreads}
    for sign in "+-":
        found = [
            random.get((attribute, GENTLE[-1], sign, measure))
            for measure in (*measures, "clap_score")
        ]
        known = [one for one in found if one]
        if known:
            label = f"{len(known[0].directions)} random directions {sign}{size}"
            rows.append([label, *(spread_text(one) for one in known)])
    rows += [effect_row(name, label) for name, label in words.items()]
    return table(["condition", *(TITLES[measure] for measure in measures), COST], rows)


def write_readme(readme: Path, results: Results) -> None:
    """Write the tables of both attributes between their marks.

    Args:
        readme: with `<!-- effects-tempo: begin -->`, `<!-- effects-tempo: end -->`, and likewise
            for brightness.
        results: of the study.

    Raises:
        TonearmError: the README lacks a mark.
    """
    text = readme.read_text(encoding="utf-8")
    for attribute in ATTRIBUTES:
        begin, end = (f"<!-- effects-{attribute}: {edge} -->" for edge in ("begin", "end"))
        before, found_begin, rest = text.partition(begin)
        _, found_end, after = rest.partition(end)
        if not (found_begin and found_end):
            raise TonearmError(f"{readme} has no marks {begin} and {end}; add them")
        text = "\n".join([f"{before}{begin}", *readme_table(attribute, results), f"{end}{after}"])
    with atomic_write(readme) as partial:
        partial.write_text(text, encoding="utf-8")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Format a Markdown table, one line per row."""
    lines = [headings, ["---"] * len(headings), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def mean_text(found: Effect, decimals: int) -> str:
    """Format `128 ± 42`; a dash under two pairs."""
    if found.n < 2:
        return "–"
    return f"{found.mean:.{decimals}f} ± {found.deviation:.{decimals}f}"


def change_text(found: Effect) -> str:
    """Format a relative change with its interval, `+17% [+7%, +29%]`."""
    if found.n < 2:
        return "–"
    return f"{found.change:+.0%} [{found.low:+.0%}, {found.high:+.0%}]"


def difference_text(found: Effect) -> str:
    """Format a difference with its interval, `-0.09 [-0.13, -0.05]`."""
    if found.n < 2:
        return "–"
    return f"{found.change:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def spread_text(spread: Spread) -> str:
    """Format the mean over directions with its range, `+8% (-5% to +22%)`."""
    mean, low, high = (
        _change_number(spread, change)
        for change in (spread.mean, min(spread.changes), max(spread.changes))
    )
    return f"{mean} ({low} to {high})"


def _mean(numbers: Sequence[float | None]) -> str:
    known = [number for number in numbers if number is not None]
    return f"{sum(known) / len(known):.2f}" if known else "–"
