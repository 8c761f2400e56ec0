"""Files of steering vectors: safetensors with tensors `layer.{i}` and string metadata; never
pickle.
"""

import json
import os
from pathlib import Path

import safetensors
import safetensors.torch

from tonearm.atomic import atomic_write
from tonearm.errors import TonearmError
from tonearm.schema import validated
from tonearm.steering.vector import FORMAT_VERSION, SteeringVector, VectorInfo

SUFFIX = ".safetensors"


def save_vector(vector: SteeringVector, path: str | os.PathLike[str]) -> Path:
    """Write the vector whole or not at all; the suffix .safetensors is added where it is missing."""
    path = Path(path)
    if path.suffix != SUFFIX:
        path = path.with_name(path.name + SUFFIX)
    content = vector_bytes(vector)
    with atomic_write(path) as aside:
        aside.write_bytes(content)
    return path


def vector_bytes(vector: SteeringVector) -> bytes:
    """Return the content of a vector's file."""
    metadata = {"tonearm_format": str(FORMAT_VERSION), "content_hash": vector.content_hash()}
    for key, value in vector.info.model_dump(mode="json").items():
        metadata[key] = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    tensors = {f"layer.{layer}": direction for layer, direction in vector.directions.items()}
    return safetensors.torch.save(tensors, metadata=metadata)


def load_vector(path: str | os.PathLike[str]) -> SteeringVector:
    """Read a vector file.

    Raises TonearmError for a file that is absent, damaged, no vector, or of a later format.
    """
    path = Path(path)
    if not path.is_file():
        raise TonearmError(f"no steering vector at {path}; `tonearm vectors` lists those that ship")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, safetensors.SafetensorError) as error:
        raise TonearmError(
            f"cannot read {path} as safetensors ({error}); copy or make the file again"
        ) from None
    version = metadata.pop("tonearm_format", None)
    if version is None:
        raise TonearmError(
            f"{path} is a safetensors file but not a Tonearm steering vector; `tonearm learn` makes those"
        )
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        raise TonearmError(
            f"{path} has vector format {version}, this Tonearm reads up to {FORMAT_VERSION}; update Tonearm"
        )
    stated_hash = metadata.pop("content_hash", "")
    strings = {
        key
        for key, field in VectorInfo.model_fields.items()
        if field.annotation is str or key == "site"
    }
    try:
        fields = {
            key: value if key in strings else json.loads(value) for key, value in metadata.items()
        }
        directions = {int(key.removeprefix("layer.")): tensor for key, tensor in tensors.items()}
    except ValueError as error:
        raise TonearmError(
            f"{path}: its metadata cannot be read ({error}); make the vector again"
        ) from None
    vector = SteeringVector(directions, validated(VectorInfo, fields, where=str(path)))
    if vector.content_hash() != stated_hash:
        raise TonearmError(
            f"{path} is damaged: its directions do not match the stored content hash; copy or make the file again"
        )
    return vector
