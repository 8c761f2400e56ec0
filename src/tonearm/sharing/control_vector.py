"""Reading of GGUF control vectors, with or without GLP metadata."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from tonearm import boundary
from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.sharing.foreign import EXPORT_AGAIN, Foreign, checked_directions, field_of
from tonearm.sharing.gguf_file import Gguf, read_gguf
from tonearm.sharing.glp import ARCHITECTURE, HOOK_POINTS, SPEC_VERSIONS, Mode, content_hash
from tonearm.text import quoted

# A rank above 1 and these need another operation than those of Tonearm.
UNSUPPORTED = ("glp.dir_scales", "glp.layer_scales", "glp.structure")
UNIT_TOLERANCE = 1e-4  # of the norm of a projecting direction
_DIRECTION = re.compile(r"direction\.(0|[1-9][0-9]{0,4})")
_OF_RANK = re.compile(r"direction\.[0-9]+\.[0-9]+")


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
    if stated is not None and stated != content_hash(numbered.values()):
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
