"""Output of the commands that make a vector of an autoencoder."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tonearm.cli._screen import out, print_facts, print_json

if TYPE_CHECKING:
    from tonearm.steering import SteeringVector


def print_vector(
    vector: "SteeringVector",
    path: Path,
    as_json: bool,
    facts: Mapping[str, str] | None = None,
    features: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Print a new vector, and how to steer with it.

    Args:
        vector: that was written.
        path: of its file.
        as_json: print one JSON object.
        facts: lines before those of the vector.
        features: that it adds and subtracts, by side.
    """
    from tonearm.methods.base import statistics_text

    info, selected = vector.info, {} if features is None else features
    if as_json:
        content = {"file": str(path), "content_hash": vector.content_hash()}
        chosen = {f"{side}_features": list(numbers) for side, numbers in selected.items()}
        print_json(content | chosen | info.model_dump(mode="json"))
        return
    print_facts(
        {
            **(facts or {}),
            "vector": f"+ {info.positive_label}, - {info.negative_label}",
            "layer": f"{info.best_layer}, {info.site}",
            "norm": f"{vector.norms()[vector.layers[0]]:.3g}, that of activations is "
            f"{info.activation_norms[vector.layers[0]]:.3g}",
            "held out": statistics_text(info.statistics),
            **{f"{side} features": ", ".join(map(str, one)) for side, one in selected.items()},
        }
    )
    steer = shlex.join(["--steer", f"{path}=1@one-to-one"])
    edit = "" if not vector.readers else f", or {shlex.join(['--steer', f'{path}=-1@feature'])}"
    out.print(f"wrote {path}; steer with {steer}{edit}", soft_wrap=True)
