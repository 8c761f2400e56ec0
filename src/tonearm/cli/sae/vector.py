"""tonearm sae vector: a feature -> a steering vector."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm.cli import _options
from tonearm.cli._takes import check_outputs
from tonearm.cli.sae._vectors import print_vector


def vector(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An autoencoder, by tonearm sae train.")
    ],
    feature: Annotated[int, typer.Argument(metavar="N", help="Number of the feature.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: feature-N.safetensors."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", metavar="WORD", help="Meaning of +; default: feature N."),
    ] = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Make a steering vector of a feature; strength 1 adds as much as strong examples have."""
    from tonearm.features.trained import load_autoencoder
    from tonearm.features.vectors import feature_vector
    from tonearm.steering import save_vector
    from tonearm.steering.vector_file import vector_file

    path = vector_file(output or f"feature-{feature}")
    check_outputs([path], force)
    made = feature_vector(load_autoencoder(file), feature, positive_label=label)
    save_vector(made, path)
    print_vector(made, path, as_json)
