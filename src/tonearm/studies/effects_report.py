"""Records of the effects study -> `effects.md`, its two figures, and the README's short table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tonearm.atomic import atomic_write
from tonearm.model import Model
from tonearm.studies.effects import (
    FIRST_SEED,
    GENTLE,
    OTHER_SEED,
    RANDOM_SEED,
    RESAMPLES,
    Condition,
    Effect,
    conditions,
    effect,
)
from tonearm.studies.effects_evaluators import (
    EarsReading,
    change_text,
    ears_panels,
    ears_section,
    of_condition,
    read_by_ears,
)
from tonearm.studies.effects_figures import Panel, draw_figure

EARS_TEMPO = "tempo by the embedded beats"
MEASURES = (("tempo", "BPM"), ("onset_rate", "onsets/s"), ("brightness", "Hz"))
BEGIN, END = "<!-- effects: begin -->", "<!-- effects: end -->"
# README: what is shown of tempo, and beside it of brightness
SHORT_TABLE = (
    ("**steered up**, {gentle:+g}", "tempo+{gentle:g}", "brightness+{gentle:g}"),
    ("**steered down**, {down:+g}", "tempo-{gentle:g}", "brightness-{gentle:g}"),
    ("fast *and* dark, {gentle:g} each", "fast-dark{gentle:g}", "fast-dark{gentle:g}"),
    ("random vector, {gentle:+g}", "random-tempo+{gentle:g}", "random-brightness+{gentle:g}"),
    ('word "fast" / "bright"', "word-fast", "word-bright"),
    ('word "slow" / "dark"', "word-slow", "word-dark"),
    ("steered up, {strength:+g}", "tempo+", "brightness+"),
    ("steered down, {minus:+g}", "tempo-", "brightness-"),
    ("random vector, {strength:+g}", "random-tempo+", "random-brightness+"),
)
CONTRASTS = (
    ("tempo+{gentle:g}", "tempo-{gentle:g}"),
    ("random-tempo+{gentle:g}", "random-tempo-{gentle:g}"),
    ("word-fast", "word-slow"),
    ("brightness+{gentle:g}", "brightness-{gentle:g}"),
    ("random-brightness+{gentle:g}", "random-brightness-{gentle:g}"),
    ("word-bright", "word-dark"),
)


def values(records: Sequence[Mapping[str, Any]], condition: str, measure: str) -> list[float | None]:
    """By prompt."""
    return [value_of(record, measure) for record in of_condition(records, condition)]


def value_of(record: Mapping[str, Any], measure: str) -> float | None:
    if measure == "steadiness":
        return record["tempo"]["steadiness"]
    if measure == EARS_TEMPO:
        return record["embedded_tempo"]["value"]
    return record[measure]["value"]


def write_report(
    records: Sequence[Mapping[str, Any]],
    model: Model,
    strength: float,
    seconds: float,
    folder: Path,
    readme: Path | None = None,
) -> None:
    """Write the tables and the figure; both name their protocol."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [c for c in conditions(strength) if any(r["condition"] == c.name for r in records)]
    effects = {
        (c.name, measure): effect(values(records, "plain", measure), values(records, c.name, measure))
        for c in chosen
        for measure, _ in MEASURES
    }
    readings = read_by_ears(records, chosen)
    draw_figure(chosen[1:], panels(chosen[1:], effects), folder / "effects.png")
    draw_figure(chosen[1:], ears_panels(readings, chosen), folder / "effects-ears.png")
    text = page(records, chosen, effects, readings, model, strength, seconds)
    with atomic_write(folder / "effects.md") as aside:
        aside.write_text(text, encoding="utf-8")
    if readme:
        write_readme(readme, effects, readings, strength)


def panels(chosen: Sequence[Condition], effects: Mapping[tuple[str, str], Effect]) -> list[Panel]:
    found = {measure: [effects[condition.name, measure] for condition in chosen] for measure, _ in MEASURES}
    return [
        Panel(
            f"{measure.replace('_', ' ')} ({unit})", "change of the mean against no steering, %",
            [100 * e.change for e in found[measure]], [100 * e.low for e in found[measure]], [100 * e.high for e in found[measure]],
        )
        for measure, unit in MEASURES
    ]  # fmt: skip


def page(
    records: Sequence[Mapping[str, Any]],
    chosen: Sequence[Condition],
    effects: Mapping[tuple[str, str], Effect],
    readings: Mapping[str, EarsReading],
    model: Model,
    strength: float,
    seconds: float,
) -> str:
    checkpoint, own = model.checkpoint, model.checkpoint.sampling
    takes = sum(r["condition"] == "plain" for r in records)
    layers = ", ".join(f"{name} {model.vectors[name].info.best_layer}" for name in ("tempo", "brightness"))
    lines = [
        "# What steering moves, beside its controls",
        "",
        "This page is written by `python -m tonearm.studies.effects --docs docs/studies`.",
        "",
        f"Protocol: checkpoint {checkpoint.name} ({checkpoint.fingerprint}), {takes} held-out prompts, one take of {seconds:g} s each, seeds "
        f'{FIRST_SEED} to {FIRST_SEED + takes - 1}, the same in every condition but "other seeds" ({OTHER_SEED} on); guidance {own.guidance:g}, temperature {own.temperature:g}, top-k {own.top_k}. DiffMean at the text\'s EOS '
        f"from 100 + 100 prompts, one-to-all at strength {strength:g} and gentler from layer (0-based): {layers}, chosen on neutral prompts; both "
        f"guidance branches. Random vectors: seed {RANDOM_SEED}, norm of the best layer's direction. Tempo by librosa (fitted BPM; about one "
        "clip in five is read at half or double its tempo), brightness as spectral centroid. Mean ± standard deviation over prompts; change of "
        f"the mean with its 95 % interval from a bootstrap paired by prompt ({RESAMPLES} draws). Fingerprints: {records[0]['protocol']}.",
        "",
        "![Change of tempo and centroid by condition](effects.png)",
        "",
        "| condition | BPM | change | n | onsets per s | change | centroid, Hz | change |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for condition in chosen:
        cells = [condition.label]
        for measure, _ in MEASURES:
            found = effects[condition.name, measure]
            change = "" if condition.name == "plain" else change_text(found)
            digits = 2 if measure == "onset_rate" else 0
            cells += [f"{found.mean:.{digits}f} ± {found.deviation:.{digits}f}", change]
            cells += [str(found.n)] if measure == "tempo" else []
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "## Up against down", ""]
    for pair in CONTRASTS:
        up, down = (name.format(gentle=GENTLE[-1]) for name in pair)
        measure = "tempo" if "tempo" in up or "fast" in up else "brightness"
        labels = {c.name: c.label for c in chosen}
        if up in labels and down in labels:
            shown = [measure, EARS_TEMPO, "onset_rate"] if measure == "tempo" else [measure]
            told = []
            for m in shown:
                contrast = effect(values(records, down, m), values(records, up, m))
                told.append(f"{m.replace('_', ' ')} {change_text(contrast)}")
            lines.append(f"- {labels[up]} against {labels[down]}: {'; '.join(told)}")
    lines += [
        "",
        "Facchiano et al. 2025 (Table 1, the real musicgen-melody, Beat This!, strength 1.25): tempo -36 % / +30 %, centroid +20 % / -40 %.",
        "",
        *ears_section(readings, chosen),
        "",
        "## Is it still music?",
        "",
        "Loudness is a mean. Steadiness is that of the beats found (1 is a metronome). Faulty takes are silent, clipped or",
        "have a DC offset.",
        "",
        "| condition | loudness, LUFS | beat steadiness | no tempo found | faulty takes |",
        "|---|---|---|---|---|",
    ]
    for condition in chosen:
        here = [r for r in records if r["condition"] == condition.name]
        means = [mean_text(values(records, condition.name, measure)) for measure in ("loudness", "steadiness")]
        untold = sum(value is None for value in values(records, condition.name, "tempo"))
        faulty = sum(bool(r["faults"]) for r in here)
        lines.append(
            f"| {condition.label} | " + " | ".join(means) + f" | {untold} of {len(here)} | {faulty} of {len(here)} |"
        )
    return "\n".join(lines) + "\n"


def write_readme(
    readme: Path,
    effects: Mapping[tuple[str, str], Effect],
    readings: Mapping[str, EarsReading],
    strength: float,
) -> None:
    """Put the short table between the README's marks."""
    gentle = GENTLE[-1]
    fields = {"gentle": gentle, "down": -gentle, "strength": strength, "minus": -strength}
    lines = [
        "| | BPM, librosa | BPM, embedded beats | onsets per s | | spectral centroid, Hz |",
        "|---|---|---|---|---|---|",
    ]
    plain = {measure: effects["plain", measure].mean for measure, _ in MEASURES}
    lines.append(
        f"| no steering | {plain['tempo']:.0f} | {readings['plain'].tempo.mean:.0f} | {plain['onset_rate']:.1f} | | {plain['brightness']:.0f} |"
    )
    for label, tempo, brightness in SHORT_TABLE:
        name = tempo.format(**fields)
        cells = [
            change_text(effects[name, "tempo"]), change_text(readings[name].tempo), change_text(effects[name, "onset_rate"]), "",
            change_text(effects[brightness.format(**fields), "brightness"]),
        ]  # fmt: skip
        lines.append(f"| {label.format(**fields)} | " + " | ".join(cells) + " |")
    text = readme.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with atomic_write(readme) as aside:
        aside.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")


def mean_text(numbers: Sequence[float | None]) -> str:
    told = [number for number in numbers if number is not None]
    return f"{sum(told) / len(told):.2f}" if told else "–"
