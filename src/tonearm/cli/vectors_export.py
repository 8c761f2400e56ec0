"""tonearm vectors export: a steering vector -> a GGUF control vector."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._screen import out, print_facts, print_json
from tonearm.cli._takes import check_outputs, layers_text
from tonearm.cli._vector_files import read_vector


def export(
    vector: Annotated[
        str,
        typer.Argument(
            metavar="VECTOR", help="A vector file, pack.safetensors#tempo, or a bundled name."
        ),
    ],
    gguf: Annotated[Path, typer.Option("--gguf", metavar="FILE", help="The new .gguf file.")],
    mode: Annotated[
        str | None,
        typer.Option(
            "--mode",
            metavar="MODE",
            help="add, or project (the component along the direction is removed). "
            "Default: add, and project for a vector that is for the operator remove.",
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(
            "--alpha",
            metavar="ALPHA",
            help="Strength that the file recommends; default: the calibrated one where it injects "
            "all-to-all by this operator, else that of an imported file of this mode, else 1.",
        ),
    ] = None,
    without_layer_0: Annotated[
        bool,
        typer.Option(
            "--without-layer-0", help="Leave out layer 0, for which the format has no slot."
        ),
    ] = False,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Write a vector as a GGUF control vector with GLP metadata."""
    from tonearm.sharing import export_gguf

    check_outputs([gguf], force)
    done = export_gguf(
        read_vector(vector),
        gguf,
        mode=mode,  # type: ignore[arg-type]  # checked by export_gguf
        alpha=alpha,
        without_layer_0=without_layer_0,
    )
    if as_json:
        print_json(
            {
                "file": str(done.path),
                "mode": done.mode,
                "alpha": done.alpha,
                "layers": list(done.layers),
            }
        )
        return
    print_facts(
        {
            "mode": f"{done.mode}, recommended strength {done.alpha:g}",
            "directions": layers_text(done.layers)
            + (", layer 0 left out" if done.without_zero else ""),
            "note": "readers steer each layer by its own direction (all-to-all)",
        }
    )
    out.print(f"wrote {done.path}", soft_wrap=True)
