"""Tables of the check of knobs (knobs.py), written into a page."""

from collections.abc import Sequence
from math import log2
from pathlib import Path
from statistics import fmean

from benchmarks.rows import Row, read_rows
from tonearm.knobs import Outcome
from tonearm.report.marks import write_between_marks
from tonearm.stats.effect import effect
from tonearm.stats.share import Share
from tonearm.steering import load_vector
from tonearm.steering.library import bundled_vectors
from tonearm.steering.units import unit_named

AGAINST = (
    "closed loop",
    "levels, open loop",
    "levels, closed loop",
    "choice of 4",
    "choice of 4, trims",
)
OCTAVES = (0.5, 1.0, 2.0)
TOLERANCE = log2(1.05)


def write_page(store: Path, page: Path) -> None:
    """Write the tables of the rows in a store between the marks of a page."""
    tempo, change = (
        with_outcomes(read_rows(store / f"{name}.jsonl")) for name in ("tempo", "change")
    )
    write_between_marks(
        page,
        {
            "knobs": knob_table(),
            "tempo": tempo_table(tempo),
            "drums": drums_table(read_rows(store / "drums.jsonl")),
            "change": change_table(change),
            "loop": loop_table(change),
        },
    )


def with_outcomes(rows: Sequence[Row]) -> list[Row]:
    """Rows with the outcome: the measured value in the unit of the target, and whether it is met.

    A change is counted from the mean of the plain takes of its prompt.
    """
    references = {
        (row["knob"], row["sign"], row["prompt"]): row["reference"]
        for row in rows
        if "reference" in row
    }
    found = []
    for row in rows:
        if row.get("reference", 0.0) is None:  # a prompt without the measure
            continue
        value, unit = row.get("value"), row.get("unit", "bpm")
        measured = value
        if row["experiment"] == "change" and value is not None:
            reference = references[row["knob"], row["sign"], row["prompt"]]
            measured = None if reference is None else unit_named(unit).change(reference, value)
        knob = row.get("knob", "tempo")
        outcome = Outcome(knob, row["asked"], unit, measured, None, value, "")
        found.append({**row, "measured": measured, "met": outcome.is_met})
    return found


def tempo_table(rows: Sequence[Row]) -> list[str]:
    """Share of takes at the asked tempo, by way of asking and by the means that acted."""
    lines = [
        "| the prompt | means | within 5 % (bundled tracker) | within 5 % (librosa), any octave "
        "| CLAP score | faulty |",
        "|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        for arm in dict.fromkeys(row["arm"] for row in rows):
            found = [row for row in rows if row["kind"] == kind and row["arm"] == arm]
            if not found:
                continue
            heard = sum(_is_heard(row["librosa"], row["asked"]) for row in found)
            lines.append(
                f"| {kind} | {arm} | {Share.of(sum(row['met'] for row in found), len(found))} "
                f"| {Share.of(heard, len(found))} | {_mean(found, 'clap'):.3f} "
                f"| {_faulty(found)} |"
            )
    return lines


def _is_heard(tempo: float | None, asked: float) -> bool:
    return tempo is not None and any(
        abs(log2(tempo * octave / asked)) <= TOLERANCE for octave in OCTAVES
    )


def drums_table(rows: Sequence[Row]) -> list[str]:
    """Ways of taking the drums out, each against the plain takes of the same prompts."""
    lines = [
        "| without drums by | onsets above 4 kHz | tag drums (musicnn) | loudness | CLAP score "
        "| faulty |",
        "|---|---|---|---|---|---|",
    ]
    by_arm: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["prompt"]):
        by_arm.setdefault(row["arm"], []).append(row)
    plain = by_arm["plain"]
    for arm, found in by_arm.items():
        cells = []
        for name, decimals, unit in (
            ("level", 1, " dB"), ("tag", 3, ""), ("loudness", 1, " LU"), ("clap", 3, ""),
        ):  # fmt: skip
            change = effect(
                [row[name] for row in plain], [row[name] for row in found], "difference"
            )
            if arm == "plain":
                cells.append(f"{change.plain:.{decimals}f}{unit.replace('LU', 'LUFS')}")
                continue
            numbers = (change.change, change.low, change.high)
            mean, low, high = (f"{number:+.{decimals}f}" for number in numbers)
            cells.append(f"{mean}{unit} [{low}, {high}]")
        lines.append(f"| {arm} ({len(found)} takes) | {' | '.join(cells)} | {_faulty(found)} |")
    return lines


def change_table(rows: Sequence[Row]) -> list[str]:
    """Asked against measured, by knob, sign and arm."""
    lines = [
        "| knob | asked | means | within the tolerance | measured, mean | error, mean size "
        "| CLAP score against plain | faulty (plain) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for knob, sign in dict.fromkeys((row["knob"], row["sign"]) for row in rows):
        own = [row for row in rows if row["knob"] == knob and row["sign"] == sign]
        plain = {row["prompt"]: row for row in own if row["arm"] == "plain"}
        for arm in dict.fromkeys(row["arm"] for row in own if row["arm"] != "plain"):
            found = [row for row in own if row["arm"] == arm]
            before = [plain[row["prompt"]] for row in found]
            score = effect(
                [row["clap"] for row in before], [row["clap"] for row in found], "difference"
            )
            errors = [abs(row["measured"] - row["asked"]) for row in found if _known(row)]
            size = f"{fmean(errors):.2f}" if errors else "–"
            unit = unit_named(found[0]["unit"])
            lines.append(
                f"| {knob} | {unit.text(found[0]['asked'])} | {arm} "
                f"| {Share.of(sum(row['met'] for row in found), len(found))} "
                f"| {unit.text(_mean(found, 'measured'))} | {size} "
                f"| {score.change:+.3f} [{score.low:+.3f}, {score.high:+.3f}] "
                f"| {_faulty(found)} ({_faulty(before)}) |"
            )
    return lines


def loop_table(rows: Sequence[Row]) -> list[str]:
    """The closed loop and the choice against the open loop, paired by prompt."""
    lines = [
        "| knob | asked | against the open loop | size of the error | CLAP score |",
        "|---|---|---|---|---|",
    ]
    for knob, sign in dict.fromkeys((row["knob"], row["sign"]) for row in rows):
        own = [row for row in rows if row["knob"] == knob and row["sign"] == sign]
        by_arm = {
            arm: {row["prompt"]: row for row in own if row["arm"] == arm}
            for arm in ("open loop", *AGAINST)
        }
        for arm in AGAINST:
            both = sorted(by_arm["open loop"].keys() & by_arm[arm].keys())
            pairs = [(by_arm["open loop"][one], by_arm[arm][one]) for one in both]
            pairs = [pair for pair in pairs if all(map(_known, pair))]
            if len(pairs) < 2:
                continue
            error = effect(
                [abs(before["measured"] - before["asked"]) for before, _ in pairs],
                [abs(after["measured"] - after["asked"]) for _, after in pairs],
                "difference",
            )
            score = effect(
                [before["clap"] for before, _ in pairs],
                [after["clap"] for _, after in pairs],
                "difference",
            )
            unit = unit_named(pairs[0][0]["unit"])
            asked = unit.text(pairs[0][0]["asked"])
            lines.append(
                f"| {knob} | {asked} | {arm} "
                f"| {error.change:+.2f} [{error.low:+.2f}, {error.high:+.2f}] {unit.name} "
                f"| {score.change:+.3f} [{score.low:+.3f}, {score.high:+.3f}] |"
            )
    return lines


def knob_table() -> list[str]:
    """Every bundled knob and sign: range, cost, drift and leakage, or the reason of a failure."""
    lines = [
        "| knob | means | measured by | range | cost at the end: faults, pulse, CLAP score "
        "| left at 30 s | what else moves |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, file in bundled_vectors().items():
        info = load_vector(file).info
        for sign, label in ((1, info.positive_label), (-1, info.negative_label)):
            found = None if info.calibration is None else info.calibration.of(sign)
            start = f"| {name} {'+' if sign > 0 else '-'} | {label} "
            if found is None or found.response is None:
                reason = "not calibrated" if found is None else f"**fails**: {found.failure}"
                lines.append(f"{start}| | {reason} | | | |")
                continue
            unit, last = unit_named(found.response.unit), found.response.points[-1]
            kept = None if found.drift is None else found.drift.kept
            moved = [
                f"{other} {unit_named(leak.unit).text(leak.change)}"
                for other, leak in found.leakage.items()
                if leak.is_certain
            ]
            lines.append(
                f"{start}| {found.response.measure} | to {unit.text(last.effect)} "
                f"[{last.low:+.{unit.decimals}f}, {last.high:+.{unit.decimals}f}] "
                f"| {100 * last.fault_gain:+.0f} points, {-last.pulse_loss:+.0%}, "
                f"{-last.text_loss:+.3f} | {'' if kept is None else f'{kept:.0%}'} "
                f"| {', '.join(moved) or 'nothing certain'} |"
            )
    return lines


def _known(row: Row) -> bool:
    return row["measured"] is not None


def _mean(rows: Sequence[Row], name: str) -> float:
    known = [row[name] for row in rows if row[name] is not None]
    return fmean(known) if known else float("nan")


def _faulty(rows: Sequence[Row]) -> str:
    return f"{fmean(row['faulty'] for row in rows):.0%}"
