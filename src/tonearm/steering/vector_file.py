"""Files of steering vectors: safetensors with tensors `layer.{i}`, those of a monitor and `reader.{i}`
where the vector has them, and string metadata; never pickle.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from tonearm.steering.monitor import Monitor
from tonearm.steering.vector import FORMAT_VERSION, SteeringVector, VectorInfo
from tonearm.text import first_line, quoted

SUFFIX = ".safetensors"
BUNDLE_KEY = "tonearm_bundle"  # of a bundle's metadata, with the version of its format
MAX_BYTES = 256 * MIB  # musicgen-large has 48 layers of 2048, 0.4 MiB
MONITOR = "monitor."  # start of the names of a monitor's tensors
_LAYER = re.compile(r"(layer|reader)\.(0|[1-9][0-9]{0,4})")
_TEXTS = {
    key
    for key, field in VectorInfo.model_fields.items()
    if field.annotation is str or key in ("site", "source", "strength_unit")
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
    tensors, metadata = vector_content(vector)
    return safetensors.torch.save(tensors, metadata=metadata)


def vector_content(vector: SteeringVector) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a vector's file."""
    metadata = {
        "tonearm_format": str(FORMAT_VERSION),
        "content_hash": vector.content_hash(),
        "tensor_sha256": vector.tensor_sha256(),
    }
    for key, value in vector.info.model_dump(mode="json").items():
        metadata[key] = value if key in _TEXTS else json.dumps(value, sort_keys=True)
    tensors = {f"layer.{layer}": direction for layer, direction in vector.directions.items()}
    tensors |= {f"reader.{layer}": reader for layer, reader in vector.readers.items()}
    if vector.monitor:
        tensors |= {MONITOR + name: one for name, one in vector.monitor.tensors().items()}
    return tensors, metadata


def load_vector(path: str | os.PathLike[str]) -> SteeringVector:
    """Read a vector file.

    Raises TonearmError for a file that is absent, too large, damaged, no vector, or of a later
    format.
    """
    path = Path(boundary.path(path, "path"))
    if not path.is_file():
        raise TonearmError(f"no steering vector at {path}; `tonearm vectors` lists those that ship")
    with open_tensors(path) as file:
        metadata = dict(file.metadata() or {})
        check_format(str(path), metadata)
        check_size(path)
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    return vector_of(str(path), tensors, metadata)


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """Open a safetensors file; damage is one line.

    Yields:
        The open file of `safetensors.safe_open`.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            yield file
    except (OSError, MemoryError, safetensors.SafetensorError) as error:
        raise TonearmError(
            f"cannot read {path} as safetensors ({first_line(error)}); copy or make the file again"
        ) from None


def vector_of(
    where: str, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> SteeringVector:
    """Make the vector of a file's tensors and metadata.

    Args:
        where: the file, or the file and the name of one of its vectors, for messages.
        tensors: as `vector_content` returns them.
        metadata: likewise; its format was checked.

    Raises:
        TonearmError: a field or a tensor that is damaged or unknown.
    """
    fields = {key: value for key, value in metadata.items() if key != "tonearm_format"}
    stated = {key: fields.pop(key, None) for key in ("content_hash", "tensor_sha256")}
    vector = _vector(where, tensors, _info(where, fields))
    found = {"content_hash": vector.content_hash(), "tensor_sha256": vector.tensor_sha256()}
    if stated["tensor_sha256"] is None:  # of an earlier format
        del found["tensor_sha256"]
    for key, value in found.items():
        if value != stated[key]:
            raise TonearmError(
                f"{where} is damaged: its directions do not match the stored "
                f"{key.replace('_', ' ')}; copy or make the file again"
            )
    return vector


def check_format(where: str, metadata: Mapping[str, str]) -> None:
    """Raise TonearmError unless the metadata are those of a vector in a format that is known."""
    version = metadata.get("tonearm_format")
    if version is None:
        hint = (
            f"it is a bundle of vectors, and {where}#NAME is one of them"
            if BUNDLE_KEY in metadata
            else "`tonearm learn` makes those, and `tonearm vectors import` reads other files"
        )
        raise TonearmError(
            f"{where} is a safetensors file but not a Tonearm steering vector; {hint}"
        )
    if version not in map(str, range(1, FORMAT_VERSION + 1)):
        raise TonearmError(
            f"{where} has vector format {shortened(version)}, this Tonearm reads up to {FORMAT_VERSION}; update Tonearm"
        )


def check_size(path: Path) -> None:
    """Raise TonearmError for a file that is too large for any checkpoint, before tensors are read."""
    if path.stat().st_size > MAX_BYTES:
        raise TonearmError(
            f"{path} is larger than {MAX_BYTES // MIB} MiB, the limit of a vector; "
            "copy or make the file again"
        )


def _info(where: str, metadata: Mapping[str, str]) -> VectorInfo:
    fields: dict[str, Any] = {}
    for key, value in metadata.items():
        is_text = key not in VectorInfo.model_fields or key in _TEXTS
        place = f"{shortened(key)} of {where}"
        fields[key] = value if is_text else parse_json(value, place, "make the vector again")
    info: VectorInfo = validated(VectorInfo, fields, where=where)
    return info


def _vector(where: str, tensors: Mapping[str, torch.Tensor], info: VectorInfo) -> SteeringVector:
    found: dict[str, dict[int, torch.Tensor]] = {"layer": {}, "reader": {}}
    of_monitor: dict[str, torch.Tensor] = {}
    for key, tensor in tensors.items():
        if key.startswith(MONITOR):
            of_monitor[key.removeprefix(MONITOR)] = tensor
            continue
        layer = _LAYER.fullmatch(key)
        if layer is None:
            raise TonearmError(
                f"{where} holds the tensor {quoted(key)}, which is no layer; make the vector again"
            )
        if tensor.dtype != torch.float32:
            raise TonearmError(
                f"{where}: {key} is of type {tensor.dtype}, not float32; make the vector again"
            )
        found[layer[1]][int(layer[2])] = tensor
    try:
        monitor = Monitor.of_tensors(of_monitor) if of_monitor else None
        return SteeringVector(found["layer"], info, monitor, found["reader"])
    except TonearmError as error:
        raise TonearmError(f"{where}: {error}") from None
