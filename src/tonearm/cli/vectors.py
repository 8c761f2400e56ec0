"""tonearm vectors: table of steering vectors, and the group of the commands that exchange them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from tonearm.cli import _options
from tonearm.cli._calibration import effect_text, sign_text
from tonearm.cli._screen import new_table, out, print_json
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.steering import SignCalibration, SteeringVector


LIST = "list"


class ListingGroup(TyperGroup):
    """Group whose command `list` may be left out; a file that has the name of a command is given
    with its folder, as `./list`.
    """

    def named_arguments(self, arguments: list[str]) -> list[str]:
        """Put `list` before arguments that do not begin with a command."""
        is_named = arguments[:1] == ["--help"] or (arguments[:1] and arguments[0] in self.commands)
        return arguments if is_named else [LIST, *arguments]

    def parse_args(self, context: Any, arguments: list[str]) -> list[str]:
        """Parse the arguments, `list` with those that name no command."""
        return super().parse_args(context, self.named_arguments(arguments))


VectorFiles = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[FILE|FOLDER]...", help="Left out, those that ship for pocket."),
]


def place_of(files: list[Path] | None) -> str:
    """Where vectors were looked for, for a message."""
    return ", ".join(map(str, files)) if files else "this installation"


def vectors(
    files: VectorFiles = None,
    as_json: _options.Json = False,
) -> None:
    """List vectors with their amounts: those that ship, or those of files, bundles and folders."""
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
        out.print(f"no vectors in {place_of(files)}; tonearm learn makes one")


def read_vectors(given: Sequence[Path] | None) -> dict[str, "SteeringVector"]:
    """Vectors of files and folders, or those that ship, by the name that --steer takes."""
    from tonearm.steering import load_vector
    from tonearm.steering.bundle_file import is_bundle, load_vectors
    from tonearm.steering.library import bundled_vectors

    if not given:
        return {name: load_vector(path) for name, path in bundled_vectors().items()}
    found = {}
    for path in given:
        for file in sorted(path.glob("*.safetensors")) if path.is_dir() else [path]:
            try:
                of_bundle = is_bundle(file)
                for name, vector in load_vectors(file).items():
                    found[f"{file}#{name}" if of_bundle else str(file)] = vector
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
