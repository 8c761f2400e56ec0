"""tonearm vectors: table of steering vectors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._calibration import effect_text, sign_text
from tonearm.cli._screen import new_table, out, print_json
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.steering import SignCalibration, SteeringVector


def vectors(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE|FOLDER]...", help="Left out, those that ship for pocket."),
    ] = None,
    as_json: _options.Json = False,
) -> None:
    """List steering vectors with their amounts: those that ship, or those in files and folders."""
    found = read_vectors(files)
    if as_json:
        described = [
            {
                "steer": name,
                "content_hash": vector.content_hash(),
                **vector.info.model_dump(mode="json"),
            }
            for name, vector in found.items()
        ]
        print_json({"vectors": described})
    elif found:
        _print_table(found)
    else:
        where = ", ".join(map(str, files)) if files else "this installation"
        out.print(f"no vectors in {where}; tonearm learn makes one")


def read_vectors(given: Sequence[Path] | None) -> dict[str, "SteeringVector"]:
    """Vectors of files and folders, or those that ship, by the name that --steer takes."""
    from tonearm.steering import load_vector
    from tonearm.steering.library import bundled_vectors

    if not given:
        return {name: load_vector(path) for name, path in bundled_vectors().items()}
    found = {}
    for path in given:
        for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
            try:
                found[str(file)] = load_vector(file)
            except TonearmError:
                if file == path:
                    raise  # in a folder, it is some other safetensors file, such as a checkpoint
    return found


def _print_table(found: Mapping[str, "SteeringVector"]) -> None:
    """Print two rows per vector, one per sign."""
    table = new_table("steer with", "means", "amount 1 is", "effect", "faults", "pulse")
    for name, vector in found.items():
        info = vector.info
        for symbol, sign, label in (
            ("+", 1, info.positive_label),
            ("-", -1, info.negative_label),
        ):
            cells = ("not calibrated", "", "", "")
            if info.calibration:
                signed = info.calibration.of(sign)
                cells = (sign_text(signed, sign), *_evidence(signed))
            table.add_row(f"{name}={symbol}1", label, *cells)
    out.print(table)


def _evidence(signed: "SignCalibration") -> tuple[str, str, str]:
    """Effect, faults and pulse of a sign that passes."""
    evidence = signed.evidence
    if evidence is None:
        return "", "", ""
    faults = f"{evidence.faulty_steered:.0%} ({evidence.faulty_plain:.0%} plain)"
    return effect_text(evidence), faults, f"{evidence.pulse_ratio:.2f}"
