"""tonearm knobs: the range, cost and leakage of each calibrated vector and sign."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tonearm.cli import _options
from tonearm.cli._screen import new_table, out, print_json
from tonearm.cli.vectors import VectorFiles, place_of, read_vectors

if TYPE_CHECKING:
    from tonearm.steering import SignCalibration, SteeringVector

SUFFIX = ".safetensors"
MIN_KEPT = 0.7  # of an effect, over half a minute; below it the table states the rest
MAX_LEAKS = 3  # named per sign; --json has all


def knobs(
    files: VectorFiles = None,
    as_json: _options.Json = False,
) -> None:
    """Show the range of each knob and sign, what it costs, what else moves, and which fail."""
    found = read_vectors(files)
    if as_json:
        print_json(
            {"knobs": [row for name, vector in found.items() for row in _rows(name, vector)]}
        )
        return
    if not found:
        out.print(f"no knobs in {place_of(files)}; tonearm learn and tonearm calibrate make them")
        return
    _print_table(found)
    out.print("meet a target: tonearm generate PROMPT --set KNOB=TARGET, or tempo=128bpm")


def _rows(name: str, vector: "SteeringVector") -> list[dict[str, object]]:
    """Both signs of a vector, for --json."""
    info = vector.info
    rows = []
    for sign, label in ((1, info.positive_label), (-1, info.negative_label)):
        found = None if info.calibration is None else info.calibration.of(sign)
        rows.append(
            {
                "knob": name,
                "sign": sign,
                "label": label,
                "passes": found is not None and found.strength is not None,
                "calibration": None if found is None else found.model_dump(mode="json"),
            }
        )
    return rows


def _print_table(found: Mapping[str, "SteeringVector"]) -> None:
    """Print two rows per vector, one per sign."""
    table = new_table("knob", "means", "range", "cost at the end", "what else moves")
    for name, vector in found.items():
        info = vector.info
        for symbol, sign, label in (("+", 1, info.positive_label), ("-", -1, info.negative_label)):
            signed = None if info.calibration is None else info.calibration.of(sign)
            cells = ("not calibrated", "", "") if signed is None else _cells(signed)
            table.add_row(f"{_shown(name)} {symbol}", label, *cells)
    out.print(table)


def _shown(name: str) -> str:
    """The name of a vector; of a file, its last part without the ending."""
    return Path(name).stem if name.endswith(SUFFIX) else name


def _cells(signed: "SignCalibration") -> tuple[str, str, str]:
    """Range, cost and leakage of a sign."""
    from tonearm.steering.units import unit_named

    if signed.strength is None:
        return f"fails: {signed.failure}", "", ""
    if signed.response is None:
        return "amounts alone", "", ""
    last, unit = signed.response.points[-1], unit_named(signed.response.unit)
    low, high = (f"{bound:+.{unit.decimals}f}" for bound in (last.low, last.high))
    limits = f"to {unit.text(last.effect)}\n[{low}, {high}]"
    costs = [
        f"faults {100 * last.fault_gain:+.0f} points",
        f"pulse {-last.pulse_loss:+.0%}",
        f"CLAP {-last.text_loss:+.3f}",
    ]
    drift = signed.drift
    if drift is not None and drift.kept is not None and drift.kept < MIN_KEPT:
        costs.append(f"{drift.kept:.0%} left at {drift.seconds:g} s")
    return limits, "\n".join(costs), "\n".join(_leaks(signed)) or "nothing certain"


def _leaks(signed: "SignCalibration") -> list[str]:
    """The certain changes of other measures, the surest first."""
    from tonearm.steering.units import unit_named

    certain = {name: leak for name, leak in signed.leakage.items() if leak.is_certain}
    surest = sorted(certain, key=lambda name: certain[name].sureness, reverse=True)
    shown = [
        f"{name.replace('_', ' ')} {unit_named(certain[name].unit).text(certain[name].change)}"
        for name in surest
    ]
    hidden = len(shown) - MAX_LEAKS
    return shown[:MAX_LEAKS] + ([f"and {hidden} more"] if hidden > 0 else [])
