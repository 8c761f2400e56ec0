"""tonearm vectors: table of steering vectors."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import new_table, out, print_json
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.steering import SteeringVector


def vectors(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE|FOLDER]...", help="Left out, those that ship for pocket."),
    ] = None,
    as_json: _options.Json = False,
) -> None:
    """List steering vectors: those that ship, or those in files and folders."""
    from tonearm.steering import load_vector
    from tonearm.steering.library import bundled_vectors

    found = (
        _read(files)
        if files
        else {name: load_vector(path) for name, path in bundled_vectors().items()}
    )
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


def _read(given: Sequence[Path]) -> dict[str, "SteeringVector"]:
    """Vectors of files and folders, by the name that --steer takes."""
    from tonearm.steering import load_vector

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
    headings = ("steer with", "+ means", "- means", "layer", "prompts", "scores at that layer")
    table = new_table(*headings, numbers=("layer", "prompts"))
    for name, vector in found.items():
        info = vector.info
        at_best = (
            f"{score} {by_layer[info.best_layer]:.2f}"
            for score, by_layer in info.scores.items()
            if info.best_layer in by_layer
        )
        best = "–" if info.best_layer is None else str(info.best_layer)
        prompts = str(info.positive_count + info.negative_count)
        table.add_row(
            name, info.positive_label, info.negative_label, best, prompts, "\n".join(at_best)
        )
    out.print(table)
