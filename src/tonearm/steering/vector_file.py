"""Files of steering vectors: safetensors with tensors `layer.{i}`, `reader.{i}` and string
metadata; never pickle.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import MIB, parse_json
from tonearm.schema import validated
from tonearm.steering.vector import FORMAT_VERSION, SteeringVector, VectorInfo
from tonearm.text import first_line, quoted

SUFFIX = ".safetensors"
MAX_BYTES = 256 * MIB  # musicgen-large has 48 layers of 2048, 0.4 MiB
_LAYER = re.compile(r"(layer|reader)\.(0|[1-9][0-9]{0,4})")
_TEXTS = {
    key
    for key, field in VectorInfo.model_fields.items()
    if field.annotation is str or key in ("site", "source")
}


def save_vector(vector: SteeringVector, path: str | os.PathLike[str]) -> Path:
    """Write the vector whole or not at all; the suffix .safetensors is added where it is missing."""
    boundary.instance(vector, "vector", SteeringVector, "a SteeringVector")
    path = vector_file(path)
    content = vector_bytes(vector)
    with atomic_write(path) as aside:
        aside.write_bytes(content)
    return path


def vector_file(path: str | os.PathLike[str]) -> Path:
    """Path of a vector's file: the suffix .safetensors is added where it is missing.

    Raises TonearmError for a path without a file name.
    """
    found = Path(boundary.path(path, "path"))
    if found.suffix == SUFFIX:
        return found
    if found.name in ("", ".."):
        raise TonearmError(f"cannot write {found}: it is a folder; name a file in it")
    return found.with_name(found.name + SUFFIX)


def vector_bytes(vector: SteeringVector) -> bytes:
    """Return the content of a vector's file."""
    metadata = {"tonearm_format": str(FORMAT_VERSION), "content_hash": vector.content_hash()}
    for key, value in vector.info.model_dump(mode="json").items():
        metadata[key] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    tensors = {f"layer.{layer}": direction for layer, direction in vector.directions.items()}
    tensors |= {f"reader.{layer}": reader for layer, reader in vector.readers.items()}
    return safetensors.torch.save(tensors, metadata=metadata)


def load_vector(path: str | os.PathLike[str]) -> SteeringVector:
    """Read a vector file.

    Raises TonearmError for a file that is absent, too large, damaged, no vector, or of a later
    format.
    """
    path = Path(boundary.path(path, "path"))
    if not path.is_file():
        raise TonearmError(f"no steering vector at {path}; `tonearm vectors` lists those that ship")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            _check_format(path, metadata.pop("tonearm_format", None))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, MemoryError, safetensors.SafetensorError) as error:
        raise TonearmError(
            f"cannot read {path} as safetensors ({first_line(error)}); copy or make the file again"
        ) from None
    stated_hash = metadata.pop("content_hash", "")
    info = _info(path, metadata)
    vector = _vector(path, tensors, info)
    if vector.content_hash() != stated_hash:
        raise TonearmError(
            f"{path} is damaged: its directions do not match the stored content hash; copy or make the file again"
        )
    return vector


def _check_format(path: Path, version: str | None) -> None:
    """Refuse other files, and those too large for any checkpoint, before tensors are read."""
    if version is None:
        raise TonearmError(
            f"{path} is a safetensors file but not a Tonearm steering vector; `tonearm learn` makes those"
        )
    if version not in map(str, range(1, FORMAT_VERSION + 1)):
        raise TonearmError(
            f"{path} has vector format {shortened(version)}, this Tonearm reads up to {FORMAT_VERSION}; update Tonearm"
        )
    if path.stat().st_size > MAX_BYTES:
        raise TonearmError(
            f"{path} is larger than {MAX_BYTES // MIB} MiB, the limit of a vector; "
            "copy or make the file again"
        )


def _info(path: Path, metadata: dict[str, str]) -> VectorInfo:
    fields: dict[str, Any] = {}
    for key, value in metadata.items():
        is_text = key not in VectorInfo.model_fields or key in _TEXTS
        where = f"{shortened(key)} of {path}"
        fields[key] = value if is_text else parse_json(value, where, "make the vector again")
    info: VectorInfo = validated(VectorInfo, fields, where=str(path))
    return info


def _vector(path: Path, tensors: dict[str, torch.Tensor], info: VectorInfo) -> SteeringVector:
    found: dict[str, dict[int, torch.Tensor]] = {"layer": {}, "reader": {}}
    for key, tensor in tensors.items():
        layer = _LAYER.fullmatch(key)
        if layer is None:
            raise TonearmError(
                f"{path} holds the tensor {quoted(key)}, which is no layer; make the vector again"
            )
        if tensor.dtype != torch.float32:
            raise TonearmError(
                f"{path}: {key} is of type {tensor.dtype}, not float32; make the vector again"
            )
        found[layer[1]][int(layer[2])] = tensor
    try:
        return SteeringVector(found["layer"], info, found["reader"])
    except TonearmError as error:
        raise TonearmError(f"{path}: {error}") from None
