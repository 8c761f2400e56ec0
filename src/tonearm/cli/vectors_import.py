"""tonearm vectors import: a file of another program -> a steering vector."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import load_model, out, print_facts, print_json
from tonearm.cli._takes import check_outputs, layers_text

if TYPE_CHECKING:
    from tonearm.steering import SteeringVector


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="GGUF or GLP (.gguf), tensors named by layer (.safetensors), an array (.npy), or "
            ".svec of AISteer360.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The new vector file.")
    ],
    site: Annotated[
        str | None,
        typer.Option(
            "--site",
            metavar="SITE",
            help="residual, attention, cross_attention or heads; where the file does not state it.",
        ),
    ] = None,
    layers_from: Annotated[
        int | None,
        typer.Option(
            "--layers-from",
            metavar="0|1",
            help="Number of the first layer in the file; where it does not state it.",
        ),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            "--layer", metavar="N", help="Layer of an array of one direction, counted from 0."
        ),
    ] = None,
    best_layer: Annotated[
        int | None,
        typer.Option(
            "--best-layer", metavar="N", help="Layer whose direction steers all layers by default."
        ),
    ] = None,
    positive_label: Annotated[
        str | None, typer.Option("--positive-label", metavar="WORD", help="Meaning of +.")
    ] = None,
    negative_label: Annotated[
        str | None, typer.Option("--negative-label", metavar="WORD", help="Meaning of -.")
    ] = None,
    model: _options.ModelName = "pocket",
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Make a vector of another program's directions; nothing is ever unpickled."""
    from tonearm.sharing.importing import import_vector, read_foreign
    from tonearm.steering import save_vector
    from tonearm.steering.vector_file import vector_file

    path = vector_file(output)
    check_outputs([path], force)
    kind = read_foreign(file).kind  # before the checkpoint is loaded
    loaded = load_model(model, "cpu", None)
    vector = import_vector(
        file,
        loaded.shape,
        name=path.stem,
        site=site,
        layers_from=layers_from,
        layer=layer,
        best_layer=best_layer,
        positive_label=positive_label,
        negative_label=negative_label,
    )
    save_vector(vector, path)
    info = vector.info
    if as_json:
        content = {"file": str(path), "content_hash": vector.content_hash()}
        print_json(content | info.model_dump(mode="json"))
        return
    print_facts(
        {
            "from": f"{file}, {kind}",
            "directions": f"{layers_text(vector.layers)}, site {info.site}",
            "labels": f"+ {info.positive_label}, - {info.negative_label}",
            "best layer": "–" if info.best_layer is None else str(info.best_layer),
        }
    )
    out.print(f"wrote {path}; {_use(path, vector)}", soft_wrap=True)


def _use(path: Path, vector: "SteeringVector") -> str:
    """How to steer with the vector: by its layers' own directions where none is the best."""
    operator = vector.info.operator or "add"
    strength = float(f"{vector.info.statistics.get('alpha_default', 1.0):.6g}")
    if vector.info.best_layer is not None:
        return f"steer with {path}=raw:{strength:g}@{operator}"
    steer = {"vector": str(path), "strength": strength, "strategy": "all-to-all"}
    if operator != "add":
        steer["operator"] = operator
    return f"steer with a --steering file that holds\n  [{json.dumps(steer)}]"
