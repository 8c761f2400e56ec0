"""Report of the effects study: `effects.md` with two figures, and two tables of the README.

Every number is computed from the records; the page has no findings in words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.atomic import atomic_write
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.studies.effects_evaluators import (
    EvaluatorSummary,
    clap_accuracies,
    summarise,
    tracker_accuracies,
)
from tonearm.studies.effects_figures import draw_figure, effect_panels, evaluator_panels
from tonearm.studies.effects_trials import (
    ATTRIBUTES,
    FIRST_SEED,
    GENTLE,
    OTHER_SEED,
    RANDOM_SEED,
    RECORDS,
    RESAMPLES,
    Condition,
    Effect,
    Record,
    conditions,
    effect,
    of_condition,
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
        contrasts: of the two signs of each attribute's vector, random vector and words: labels of
            both conditions, and the effect of the first against the second by measure.
    """

    conditions: tuple[Condition, ...]
    effects: Mapping[tuple[str, str], Effect]
    summaries: Mapping[str, EvaluatorSummary]
    contrasts: tuple[tuple[str, str, Mapping[str, Effect]], ...]


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
    return Results(found, effects, summarise(records, found), tuple(_contrasts(records, found)))


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
            (f"random-{attribute}+{size}", f"random-{attribute}-{size}"),
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
        folder: of effects.md, effects.png and effects-evaluators.png.
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
    text = _page(records, results, _protocol(records, model, strength, seconds))
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
        f"Random vectors: seed {RANDOM_SEED}, norm of the best layer's direction.\n"
        "Tempo by librosa's beats and their best-fitting pulse; brightness as spectral centroid.\n"
        "Mean ± standard deviation over prompts; change of the mean with its 95 % interval from a "
        f"bootstrap paired by prompt ({RESAMPLES} draws).\n"
        f"Fingerprints: {records[0]['protocol']}."
    )


def _page(records: Sequence[Record], results: Results, protocol: str) -> str:
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
        "",
        PUBLISHED,
        "",
        *_evaluator_section(results),
        "",
        "## Quality",
        "",
        "Loudness and beat regularity are means; beat regularity is 1 for a metronome.",
        "A faulty take is silent or clipped, or has a DC offset.",
        "",
        *_quality_table(records, results),
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


def _quality_table(records: Sequence[Record], results: Results) -> list[str]:
    rows = []
    for condition in results.conditions:
        takes = of_condition(records, condition.name)
        without_tempo = sum(take["tempo"]["value"] is None for take in takes)
        faulty = sum(bool(take["faults"]) for take in takes)
        means = [
            _mean(values(records, condition.name, measure))
            for measure in ("loudness", "beat_regularity")
        ]
        counts = [f"{count} of {len(takes)}" for count in (without_tempo, faulty)]
        rows.append([condition.label, *means, *counts])
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
    labels = {
        **{f"{attribute}{sign}{size}": f"**{attribute} {sign}{size}**" for sign in "+-"},
        **{f"random-{attribute}{sign}{size}": f"random vector {sign}{size}" for sign in "+-"},
        **{f"word-{word}": f'word "{word}"' for word in ATTRIBUTE_WORDS[attribute]},
    }
    decimals = {"onset_rate": 1}
    rows = [
        [
            "no steering",
            *(f"{results.effects['plain', one].mean:.{decimals.get(one, 0)}f}" for one in measures),
            f"{results.summaries['plain'].clap_score.mean:.2f}",
        ]
    ]
    for name, label in labels.items():
        changes = [change_text(results.effects[name, measure]) for measure in measures]
        rows.append([label, *changes, difference_text(results.summaries[name].clap_score)])
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


def _mean(numbers: Sequence[float | None]) -> str:
    known = [number for number in numbers if number is not None]
    return f"{sum(known) / len(known):.2f}" if known else "–"
