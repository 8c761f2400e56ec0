"""Records of the effects study -> `effects.md` and `effects.png`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tonearm.files import write_aside
from tonearm.model import Model
from tonearm.studies.effects import FIRST_SEED, GENTLE, RANDOM_SEED, RESAMPLES, Condition, Effect, conditions, effect

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
BLUE, GREY = "#2f6fb3", "#9aa3ad"


def values(records: Sequence[Mapping[str, Any]], condition: str, measure: str) -> list[float | None]:
    """By prompt."""
    chosen = sorted((r for r in records if r["condition"] == condition), key=lambda r: r["prompt"])
    return [value_of(record, measure) for record in chosen]


def value_of(record: Mapping[str, Any], measure: str) -> float | None:
    if measure == "steadiness":
        return record["tempo"]["steadiness"]
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
    draw_figure(chosen, effects, folder / "effects.png")
    text = page(records, chosen, effects, model, strength, seconds)
    with write_aside(folder / "effects.md") as aside:
        aside.write_text(text, encoding="utf-8")
    if readme:
        write_readme(readme, effects, strength)


def page(
    records: Sequence[Mapping[str, Any]],
    chosen: Sequence[Condition],
    effects: Mapping[tuple[str, str], Effect],
    model: Model,
    strength: float,
    seconds: float,
) -> str:
    checkpoint = model.checkpoint
    takes = sum(r["condition"] == "plain" for r in records)
    layers = ", ".join(f"{name} {model.vectors[name].info.best_layer}" for name in ("tempo", "brightness"))
    lines = [
        "# What steering moves, beside its controls",
        "",
        "This page is written by `python -m tonearm.studies.effects --docs docs/studies`.",
        "",
        f"Protocol: checkpoint {checkpoint.name} ({checkpoint.fingerprint}), {takes} held-out prompts, one take of {seconds:g} s each, seeds "
        f"{FIRST_SEED} to {FIRST_SEED + takes - 1}, the same in every condition; guidance 3, temperature 1, top-k 250. DiffMean at the text's EOS "
        f"from 100 + 100 prompts, one-to-all at strength {strength:g} and gentler from layer (0-based): {layers}, chosen on the 50 neutral prompts; both "
        f"guidance branches. Random vectors: seed {RANDOM_SEED}, norm of the best layer's direction. Tempo by librosa (fitted BPM; about one "
        "clip in five is read at half or double its tempo), brightness as spectral centroid. Mean ± standard deviation over prompts; change of "
        f"the mean with its 95 % interval from a bootstrap paired by prompt ({RESAMPLES} draws).",
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
            change = "" if condition.name == "plain" else _change(found)
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
            shown = [measure, "onset_rate"] if measure == "tempo" else [measure]
            told = []
            for m in shown:
                contrast = effect(values(records, down, m), values(records, up, m))
                told.append(f"{m.replace('_', ' ')} {_change(contrast)}")
            lines.append(f"- {labels[up]} against {labels[down]}: {'; '.join(told)}")
    lines += [
        "",
        "Facchiano et al. 2025 (Table 1, the real musicgen-melody, Beat This!, strength 1.25): tempo -36 % / +30 %, centroid +20 % / -40 %.",
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


def write_readme(readme: Path, effects: Mapping[tuple[str, str], Effect], strength: float) -> None:
    """Put the short table between the README's marks."""
    gentle = GENTLE[-1]
    fields = {"gentle": gentle, "down": -gentle, "strength": strength, "minus": -strength}
    lines = ["| | tempo, BPM | onsets per s | | spectral centroid, Hz |", "|---|---|---|---|---|"]
    plain = {measure: effects["plain", measure].mean for measure, _ in MEASURES}
    lines.append(f"| no steering | {plain['tempo']:.0f} | {plain['onset_rate']:.1f} | | {plain['brightness']:.0f} |")
    for label, tempo, brightness in SHORT_TABLE:
        cells = [
            _change(effects[tempo.format(**fields), "tempo"]), _change(effects[tempo.format(**fields), "onset_rate"]), "",
            _change(effects[brightness.format(**fields), "brightness"]),
        ]  # fmt: skip
        lines.append(f"| {label.format(**fields)} | " + " | ".join(cells) + " |")
    text = readme.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    with write_aside(readme) as aside:
        aside.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")


def _change(found: Effect) -> str:
    return f"{found.change:+.0%} [{found.low:+.0%}, {found.high:+.0%}]"


def mean_text(numbers: Sequence[float | None]) -> str:
    told = [number for number in numbers if number is not None]
    return f"{sum(told) / len(told):.2f}" if told else "–"


def draw_figure(chosen: Sequence[Condition], effects: Mapping[tuple[str, str], Effect], path: Path) -> None:
    """One panel a measure, one bar a condition, with its interval."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [condition for condition in chosen if condition.name != "plain"]
    figure, axes = pyplot.subplots(
        1, len(MEASURES), figsize=(14, 0.34 * len(shown) + 1.4), sharey=True, layout="constrained"
    )
    for axis, (measure, unit) in zip(axes, MEASURES, strict=True):
        found = [effects[condition.name, measure] for condition in shown]
        changes = [100 * e.change for e in found]
        errors = [[100 * (e.change - e.low) for e in found], [100 * (e.high - e.change) for e in found]]
        colours = [
            BLUE if condition.steering and not condition.name.startswith("random") else GREY for condition in shown
        ]
        axis.barh(range(len(shown)), changes, xerr=errors, color=colours, ecolor="#444", capsize=2, height=0.7)
        axis.axvline(0, color="#444", linewidth=0.8)
        axis.set_title(f"{measure.replace('_', ' ')} ({unit})", loc="left", fontsize=11)
        axis.set_xlabel("change of the mean against no steering, %")
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        axis.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(shown)), [condition.label for condition in shown])
    axes[0].invert_yaxis()
    with write_aside(path) as aside:
        figure.savefig(aside, dpi=130)
    pyplot.close(figure)
