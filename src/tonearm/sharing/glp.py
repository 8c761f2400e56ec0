"""Control vectors in GGUF, with or without the metadata of GLP (GGUF Layer Projection).

The tensor `direction.N` is that of layer N, counted from 0 and never shifted: llama.cpp applies it
there, and has no slot for layer 0. Its own generator, which writes no GLP metadata, names the output
of layer l `direction.{l + 1}`; a shift by one raises no error, since neighbouring layers have similar
directions. Files without GLP metadata therefore do not state their convention.

GLP adds the operation (`glp.mode`: add, h + v; project, h - α (h·d) d for unit d), the site
(`glp.hook_point`), a recommended α, and the sha256 of the tensors' bytes. α is never folded into a
projecting direction, since the removal grows with the square of the norm.

Sources: the loader and applier of control vectors in llama.cpp; the specification of GLP, version 2,
and its reference readers (github.com/msuiche/weightless, spec/GLP.md).
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from tonearm import boundary
from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.loading import HUB_ID
from tonearm.sharing.foreign import EXPORT_AGAIN, Foreign, checked_directions, field_of
from tonearm.sharing.gguf_file import Gguf, gguf_bytes, read_gguf
from tonearm.steering.vector import SteeringVector
from tonearm.text import quoted

SUFFIX = ".gguf"
ARCHITECTURE = "controlvector"
FAMILY = "musicgen"  # beginning of transformers' names of MusicGen's architectures
Mode = Literal["add", "project"]
HOOK_POINTS: dict[Site, str] = {
    "residual": "residual_stream_post_layer",
    "attention": "attn_out_pre_residual",
}
SPEC_VERSIONS = (1, 2)
# A rank above 1 and these need another operation than those of Tonearm.
UNSUPPORTED = ("glp.dir_scales", "glp.layer_scales", "glp.structure")
UNIT_TOLERANCE = 1e-4  # of the norm of a projecting direction
_DIRECTION = re.compile(r"direction\.(0|[1-9][0-9]{0,4})")
_OF_RANK = re.compile(r"direction\.[0-9]+\.[0-9]+")


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
        alpha: strength that the file recommends. Default: that of the file that the vector was
            imported from; else that of amount 1, if the calibration injects all-to-all by the
            operator of the mode; else 1.
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
    """Recommended strength of a vector's own file or calibration; 1 where there is none."""
    stated = vector.info.statistics.get("alpha_default")
    if stated is not None:
        return stated
    operator = "remove" if mode == "project" else "add"
    positive = vector.info.calibration.positive if vector.info.calibration else None
    if positive is None or positive.strength is None:
        return 1.0
    how = positive.configuration
    fits = (how.operator, how.strategy, how.layers) == (operator, "all-to-all", None)
    return positive.strength if fits else 1.0


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
        "glp.content_sha256": _content_hash(arrays),
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


def _content_hash(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 of the tensors' bytes alone, which are in the order of their layers."""
    digest = hashlib.sha256()
    for array in arrays.values():
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()


def read_control_vector(path: Path) -> Foreign:
    """Read a GGUF control vector.

    Raises:
        TonearmError: no control vector of MusicGen's kind, an operation or a site that Tonearm does
            not have, or metadata that do not fit the tensors.
    """
    content = read_gguf(path)
    metadata = content.metadata
    architecture = metadata.get("general.architecture")
    if architecture != ARCHITECTURE:
        raise TonearmError(
            f"{path} has the architecture {quoted(architecture)}, not {ARCHITECTURE}; "
            "give a GGUF file of a control vector"
        )
    is_glp = any(key.startswith("glp.") for key in metadata)
    projecting = _is_projecting(path, metadata)
    numbered = _numbered(path, content)
    directions = checked_directions(
        path, {number: torch.from_numpy(one) for number, one in numbered.items()}
    )
    _check_layer_ids(path, metadata, numbered)
    _check_content_hash(path, metadata, numbered)
    if projecting:
        _check_unit(path, directions)
    return Foreign(
        kind="GLP file" if is_glp else "GGUF control vector",
        directions=directions,
        numbering="stated" if is_glp else "unstated",
        site=_site(path, metadata),
        projecting=projecting,
        alpha=_stated_alpha(path, metadata),
        fields=_fields(path, metadata),
        facts=_facts(path, metadata),
        warning=_derivation_warning(path, metadata),
    )


def _text(path: Path, metadata: Mapping[str, Any], key: str) -> str | None:
    return field_of(path, metadata, key, boundary.text)


def _whole(path: Path, metadata: Mapping[str, Any], key: str) -> int | None:
    return field_of(path, metadata, key, boundary.integer)


def _is_projecting(path: Path, metadata: Mapping[str, Any]) -> bool:
    """Whether the mode is project, after a check that Tonearm has the operation."""
    version = _whole(path, metadata, "glp.spec_version")
    if version is not None and version not in SPEC_VERSIONS:
        raise TonearmError(
            f"{path} has version {version} of GLP, this Tonearm reads 1 and 2; update Tonearm"
        )
    rank = _whole(path, metadata, "glp.rank")
    unsupported = [key for key in UNSUPPORTED if key in metadata]
    if unsupported or rank not in (None, 1):
        found = unsupported[0] if unsupported else f"glp.rank {rank}"
        raise TonearmError(
            f"{path} has {found}, which Tonearm cannot apply; "
            "export it with one direction per layer and one strength"
        )
    mode = _text(path, metadata, "glp.mode")
    if mode not in (None, *get_args(Mode)):
        raise TonearmError(
            f"{path} has glp.mode {quoted(mode)}, which Tonearm does not know; "
            f"known are {' and '.join(get_args(Mode))}"
        )
    return mode == "project"


def _numbered(path: Path, content: Gguf) -> dict[int, np.ndarray]:
    """Tensors by the number in their names, in order."""
    found = {}
    for name, array in content.tensors.items():
        match = _DIRECTION.fullmatch(name)
        if match is None:
            reason = (
                "it has several directions per layer, and Tonearm applies one"
                if _OF_RANK.fullmatch(name)
                else "tensors of a control vector are named direction.N"
            )
            raise TonearmError(f"{path} holds the tensor {quoted(name)}; {reason}")
        found[int(match[1])] = array
    if 0 in found:
        raise TonearmError(
            f"{path} holds direction.0, which control vectors do not have; {EXPORT_AGAIN}"
        )
    return dict(sorted(found.items()))


def _check_layer_ids(
    path: Path, metadata: Mapping[str, Any], numbered: Mapping[int, np.ndarray]
) -> None:
    stated = _text(path, metadata, "glp.layer_ids_zero_based")
    written = [part.strip() for part in stated.split(",")] if stated else None
    if written is not None and sorted(written) != sorted(map(str, numbered)):
        raise TonearmError(
            f"{path} states the layers {quoted(stated)}, and its tensors are of others, so that it "
            f"would steer wrong layers; {EXPORT_AGAIN}"
        )


def _check_content_hash(
    path: Path, metadata: Mapping[str, Any], numbered: Mapping[int, np.ndarray]
) -> None:
    stated = _text(path, metadata, "glp.content_sha256")
    if stated is not None and stated != _content_hash({str(n): one for n, one in numbered.items()}):
        raise TonearmError(
            f"{path} is damaged: its directions do not match glp.content_sha256; "
            "copy or export it again"
        )


def _check_unit(path: Path, directions: Mapping[int, torch.Tensor]) -> None:
    for number, direction in directions.items():
        norm = float(direction.double().norm())
        if abs(norm - 1) > UNIT_TOLERANCE:
            raise TonearmError(
                f"direction {number} of {path} has norm {norm:.6g}, and a projecting file has norm 1: "
                f"a strength may be folded into it; {EXPORT_AGAIN}"
            )


def _site(path: Path, metadata: Mapping[str, Any]) -> Site:
    """The site that the directions are applied at: that of llama.cpp where none is stated."""
    hook = _text(path, metadata, "glp.hook_point")
    if hook is None:
        return "residual"
    site = next((site for site, name in HOOK_POINTS.items() if name == hook), None)
    if site is None:
        raise TonearmError(
            f"{path} is for {quoted(hook)}, a site that Tonearm does not have; it has "
            f"{' and '.join(HOOK_POINTS.values())}"
        )
    return site


def _derivation_warning(path: Path, metadata: Mapping[str, Any]) -> str:
    """Warning for directions of another site than the one that they are applied at."""
    hook, derived = (_text(path, metadata, f"glp.{key}") for key in ("hook_point", "derived_at"))
    if derived in (None, hook):
        return ""
    return f"the directions of {path} were derived at {derived}, and are applied at {hook}"


def _stated_alpha(path: Path, metadata: Mapping[str, Any]) -> float | None:
    found = field_of(path, metadata, "glp.alpha_default", boundary.number)
    if found is not None and not np.isfinite(found):
        raise TonearmError(f"glp.alpha_default of {path} is {found}; {EXPORT_AGAIN}")
    return found


def _fields(path: Path, metadata: Mapping[str, Any]) -> dict[str, str | int]:
    """Fields of VectorInfo, and the checkpoint, as far as they are stated."""
    keys = {
        "name": "general.name",
        "method": "glp.method",
        "fingerprint": "tonearm.fingerprint",
        "positive_label": "tonearm.positive_label",
        "negative_label": "tonearm.negative_label",
        "checkpoint": "general.base_model.0.name",
        "family": "controlvector.model_hint",
    }
    found: dict[str, str | int | None] = {
        name: _text(path, metadata, key) for name, key in keys.items()
    }
    found["best_layer"] = _whole(path, metadata, "tonearm.best_layer")
    found["layer_count"] = _whole(path, metadata, "controlvector.layer_count")
    return {name: value for name, value in found.items() if value is not None}


def _facts(path: Path, metadata: Mapping[str, Any]) -> dict[str, str]:
    keys = {
        "mode": "glp.mode",
        "hook point": "glp.hook_point",
        "derived at": "glp.derived_at",
        "contrast": "glp.contrast",
        "revision": "general.base_model.0.version",
        "sha256": "glp.content_sha256",
    }
    found = {name: _text(path, metadata, key) for name, key in keys.items()}
    return {name: value for name, value in found.items() if value}
