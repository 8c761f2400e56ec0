"""Steering vectors of AISteer360: JSON with the ending .svec.

`directions` maps layers to [D] or [K][D]. The meaning of K is not in the file: positions, attention
heads, or a plane; only K = 1 is one direction. `meta.location`, where it is there, states whether a
number N is the output of layer N (`layer_output`) or its input, the output of layer N - 1
(`layer_input`).

Source: SteeringVector in github.com/IBM/AISteer360, aisteer360/algorithms/state_control.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tonearm.errors import TonearmError
from tonearm.files.text_file import read_json
from tonearm.sharing.foreign import EXPORT_AGAIN, Foreign, Numbering, checked_directions
from tonearm.text import quoted

SUFFIX = ".svec"
KIND = "steering vector of AISteer360"
REMEDY = "give a .svec file that AISteer360 saved"
HEADS = ("num_heads", "head_dim", "probe_accuracies")
LOCATIONS: dict[str, Numbering] = {"layer_output": "stated", "layer_input": "earlier"}
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")


def read_svec(path: Path) -> Foreign:
    """Read a steering vector of AISteer360.

    Raises:
        TonearmError: no file, no steering vector, several directions per layer, or attention heads.
    """
    content = read_json(path, KIND, REMEDY)
    if not isinstance(content, dict) or not isinstance(content.get("directions"), dict):
        raise TonearmError(f"{path} holds no directions; {REMEDY}")
    of_heads = [key for key in HEADS if content.get(key) is not None]
    if of_heads:
        raise TonearmError(
            f"{path} has {of_heads[0]}: it holds directions of attention heads; "
            "only one direction per layer can be imported"
        )
    given = {
        _number(path, key): _direction(path, key, rows)
        for key, rows in content["directions"].items()
    }
    family = content.get("model_type")
    return Foreign(
        kind=KIND,
        directions=checked_directions(path, given),
        numbering=_numbering(path, content.get("meta")),
        fields={"family": family} if isinstance(family, str) else {},
        facts={"model type": family} if isinstance(family, str) else {},
    )


def _number(path: Path, key: str) -> int:
    if not _NUMBER.fullmatch(key):
        raise TonearmError(f"{path} has directions of the layer {quoted(key)}; {EXPORT_AGAIN}")
    return int(key)


def _direction(path: Path, key: str, rows: Any) -> torch.Tensor:
    try:
        found = torch.tensor(rows, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError, RecursionError):
        raise TonearmError(f"direction {key} of {path} is no list of numbers; {REMEDY}") from None
    if found.ndim == 2 and len(found) != 1:
        raise TonearmError(
            f"{path} has {len(found)} directions at layer {key} (positions, heads or a plane); "
            "only one direction per layer can be imported"
        )
    return found[0] if found.ndim == 2 else found


def _numbering(path: Path, meta: Any) -> Numbering:
    location = meta.get("location") if isinstance(meta, Mapping) else None
    if location is None:
        return "unstated"
    if not isinstance(location, str) or location not in LOCATIONS:
        raise TonearmError(
            f"meta.location {quoted(location)} of {path} is not known; "
            f"known are {' and '.join(LOCATIONS)}"
        )
    return LOCATIONS[location]
