"""Export of a steering vector as a GGUF control vector with GLP metadata."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.loading import HUB_ID
from tonearm.sharing.gguf_file import Gguf, gguf_bytes
from tonearm.sharing.glp import (
    ARCHITECTURE,
    FAMILY,
    HOOK_POINTS,
    SPEC_VERSIONS,
    SUFFIX,
    Mode,
    content_hash,
)
from tonearm.steering.vector import ALPHA, SteeringVector
from tonearm.text import quoted


@dataclass(frozen=True)
class Exported:
    """A GGUF file that was written.

    mode, alpha   of its metadata
    layers        that it holds, 0-based
    without_zero  the vector has a direction of layer 0, which was left out
    """

    path: Path
    mode: Mode
    alpha: float
    layers: tuple[int, ...]
    without_zero: bool


def export_gguf(
    vector: SteeringVector,
    path: str | os.PathLike[str],
    *,
    mode: Mode | None = None,
    alpha: float | None = None,
    without_layer_0: bool = False,
) -> Exported:
    """Write a vector as a GGUF control vector with GLP metadata, whole or not at all.

    Programs that read it steer each layer by its own direction (all-to-all).

    Args:
        vector: at the site residual or attention.
        path: of the new file.
        mode: add writes the directions as they are; project writes them with norm 1, and leaves out
            those of norm 0. Default: project for a vector that is for the operator remove, else add.
        alpha: strength that the file recommends. Default: that of amount 1, if the calibration
            injects all-to-all by the operator of the mode; else that of the file that the vector was
            imported from, in its mode; else 1.
        without_layer_0: leave out the direction of layer 0, for which the format has no slot.

    Raises:
        TonearmError: another site or mode, a direction of layer 0 without the permission to leave it
            out, or no direction that is left.
    """
    boundary.instance(vector, "vector", SteeringVector, "a SteeringVector")
    path = Path(boundary.path(path, "path"))
    if path.suffix != SUFFIX:
        raise TonearmError(f"cannot write {path}: the ending is not {SUFFIX}; use it")
    if vector.info.site not in HOOK_POINTS:
        raise TonearmError(
            f"vector {vector.name} is for site {vector.info.site}, for which GLP has no name; "
            f"only {' and '.join(HOOK_POINTS)} can be exported"
        )
    if 0 in vector.layers and not boundary.flag(without_layer_0, "without_layer_0"):
        raise TonearmError(
            f"vector {vector.name} has a direction of layer 0, for which GGUF control vectors have "
            "no slot; leave it out with --without-layer-0 (layer 0 is then not steered)"
        )
    chosen = _mode(vector, mode)
    kept = {layer: one for layer, one in vector.directions.items() if layer > 0}
    if chosen == "project":
        kept = {layer: _unit(one) for layer, one in kept.items() if one.any()}
    if not kept:
        raise TonearmError(f"vector {vector.name} has no direction to write above layer 0")
    strength = _checked_alpha(_alpha(vector, chosen) if alpha is None else alpha)
    arrays = {f"direction.{layer}": one.numpy() for layer, one in kept.items()}
    content = gguf_bytes(Gguf(_metadata(vector, chosen, strength, arrays), arrays))
    with atomic_write(path) as aside:
        aside.write_bytes(content)
    return Exported(path, chosen, strength, tuple(kept), 0 in vector.layers)


def _mode(vector: SteeringVector, mode: Mode | None) -> Mode:
    own: Mode | None = "project" if vector.info.operator == "remove" else None
    if mode is None:
        return own or "add"
    if boundary.text(mode, "mode") not in get_args(Mode):
        raise TonearmError(f"no mode {quoted(mode)}; use {' or '.join(get_args(Mode))}")
    if own is not None and mode != own:
        raise TonearmError(
            f"vector {vector.name} is for operator remove, so that it is exported with mode {own}, "
            f"not {mode}"
        )
    return mode


def _unit(direction: torch.Tensor) -> torch.Tensor:
    """A direction of norm 1; one that has it already stays as it is, bit for bit."""
    wide = direction.double()
    norm = wide.norm()
    is_unit = abs(float(norm) - 1) < torch.finfo(torch.float32).eps
    return direction if is_unit else (wide / norm).float()


def _checked_alpha(alpha: object) -> float:
    found = boundary.number(alpha, "alpha")
    if not abs(found) <= float(np.finfo(np.float32).max):  # NaN too
        raise TonearmError(f"alpha {found:g} is not possible; give a finite number of 32 bits")
    return found


def _alpha(vector: SteeringVector, mode: Mode) -> float:
    """Recommended strength of a vector's calibration, else of the file that it was imported from, as
    far as they are of the mode; 1 where there is none.
    """
    operator = "remove" if mode == "project" else "add"
    positive = vector.info.calibration.positive if vector.info.calibration else None
    if positive is not None and positive.strength is not None:
        how = positive.configuration
        if (how.operator, how.strategy, how.layers) == (operator, "all-to-all", None):
            return positive.strength
    is_of_mode = (vector.info.operator == "remove") == (mode == "project")
    return vector.info.statistics.get(ALPHA, 1.0) if is_of_mode else 1.0


def _metadata(
    vector: SteeringVector, mode: Mode, alpha: float, arrays: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    info = vector.info
    metadata: dict[str, Any] = {
        "general.architecture": ARCHITECTURE,
        "general.name": info.name,
        "controlvector.model_hint": FAMILY,
        "controlvector.layer_count": len(arrays),
        "glp.mode": mode,
        "glp.spec_version": SPEC_VERSIONS[0],
        "glp.alpha_default": float(alpha),
        "glp.rank": 1,
    }
    if mode == "project":
        metadata["glp.orthonormal"] = True
    numbers = [name.removeprefix("direction.") for name in arrays]
    metadata |= {
        "glp.hook_point": HOOK_POINTS[info.site],
        "glp.method": info.method,
        "glp.contrast": f"{info.positive_label} vs {info.negative_label}",
        "glp.layer_ids_zero_based": ",".join(numbers),
        "glp.content_sha256": content_hash(arrays.values()),
        "general.base_model.count": 1,
        "general.base_model.0.name": info.checkpoint,
    }
    if HUB_ID.fullmatch(info.checkpoint):
        metadata |= {
            "general.base_model.0.organization": info.checkpoint.split("/")[0],
            "general.base_model.0.repo_url": f"https://huggingface.co/{info.checkpoint}",
        }
    metadata |= {
        "tonearm.fingerprint": info.fingerprint,
        "tonearm.positive_label": info.positive_label,
        "tonearm.negative_label": info.negative_label,
    }
    if info.best_layer is not None and str(info.best_layer) in numbers:
        metadata["tonearm.best_layer"] = info.best_layer
    return metadata
