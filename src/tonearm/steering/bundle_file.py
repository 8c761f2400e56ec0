"""Bundles: many steering vectors in one safetensors file.

A member is stored as its own file would be, with `NAME/` before the names of its tensors and of its
metadata, so that its content hash and its calibration stay as they are. The metadata of the bundle
itself are `tonearm_bundle`, the version of the format, and `members`, the names in order, as JSON.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import MIB, parse_json
from tonearm.steering.references import MEMBER, check_member, member_fault
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import (
    BUNDLE_KEY,
    MAX_BYTES,
    check_format,
    check_size,
    load_vector,
    open_tensors,
    vector_content,
    vector_file,
    vector_of,
)
from tonearm.text import quoted

BUNDLE_FORMAT = 1
MEMBERS_KEY = "members"
MAX_MEMBERS = 1024
AGAIN = "copy the file again, or make it again with `tonearm vectors bundle`"

Vectors = Mapping[str, SteeringVector] | Iterable[SteeringVector]


def save_bundle(vectors: Vectors, path: str | os.PathLike[str]) -> Path:
    """Write vectors into one file, whole or not at all.

    Args:
        vectors: by name, or a sequence of vectors, which have their own names.
        path: the suffix .safetensors is added where it is missing.

    Returns:
        The path of the file.

    Raises:
        TonearmError: no vectors, too many, or names that are equal or that no reference could have.
    """
    path = vector_file(path)
    content = bundle_bytes(_by_name(vectors))
    with atomic_write(path) as aside:
        aside.write_bytes(content)
    return path


def _by_name(vectors: Vectors) -> dict[str, SteeringVector]:
    def checked(one: Any, name: str) -> SteeringVector:
        return boundary.instance(one, name, SteeringVector, "a SteeringVector")

    allowed = "vectors by name, or a list of vectors"
    if isinstance(vectors, Mapping):
        given = [
            (boundary.text(name, "the vector's name"), checked(one, f"vector {quoted(name)}"))
            for name, one in vectors.items()
        ]
    else:
        given = [(one.name, one) for one in boundary.sequence(vectors, "vectors", checked, allowed)]
    if not 1 <= len(given) <= MAX_MEMBERS:
        raise TonearmError(f"a bundle of {len(given)} vectors; give 1 to {MAX_MEMBERS}")
    found: dict[str, SteeringVector] = {}
    for name, vector in given:
        check_member(name)
        if name in found:
            raise TonearmError(f"two vectors are named {quoted(name)}; rename one of them")
        found[name] = vector
    return found


def bundle_bytes(vectors: Mapping[str, SteeringVector]) -> bytes:
    """Return the content of a bundle's file, of vectors whose names were checked."""
    tensors: dict[str, torch.Tensor] = {}
    metadata = {BUNDLE_KEY: str(BUNDLE_FORMAT), MEMBERS_KEY: json.dumps(list(vectors))}
    for name, vector in vectors.items():
        own_tensors, own_metadata = vector_content(vector)
        # safetensors refuses two names of one storage, such as a vector's and its renamed copy's
        tensors |= {f"{name}/{key}": tensor.clone() for key, tensor in own_tensors.items()}
        metadata |= {f"{name}/{key}": value for key, value in own_metadata.items()}
    content = safetensors.torch.save(tensors, metadata=metadata)
    if len(content) > MAX_BYTES:
        raise TonearmError(
            f"a bundle of {len(content) // MIB} MiB; a file of vectors has at most "
            f"{MAX_BYTES // MIB} MiB, so make several bundles"
        )
    return content


def is_bundle(path: Path) -> bool:
    """Whether a file is a bundle; damaged and absent files are none."""
    if not path.is_file():
        return False
    try:
        with open_tensors(path) as file:
            return BUNDLE_KEY in (file.metadata() or {})
    except TonearmError:
        return False


def load_bundle(path: str | os.PathLike[str]) -> dict[str, SteeringVector]:
    """Read all vectors of a bundle, by name.

    Raises:
        TonearmError: the file is absent, too large, damaged, no bundle, or of a later format.
    """
    path = Path(boundary.path(path, "path"))
    return _load(path, None)


def load_vectors(path: str | os.PathLike[str]) -> dict[str, SteeringVector]:
    """Read the vectors of a file: those of a bundle by name, or that of a vector file by the file's
    name without its ending.

    Raises:
        TonearmError: see `load_bundle` and `load_vector`.
    """
    path = Path(boundary.path(path, "path"))
    return load_bundle(path) if is_bundle(path) else {path.stem: load_vector(path)}


def load_member(path: str | os.PathLike[str], name: str) -> SteeringVector:
    """Read one vector of a bundle.

    Raises:
        TonearmError: see `load_bundle`; or the bundle holds no vector of this name.
    """
    path = Path(boundary.path(path, "path"))
    return _load(path, boundary.text(name, "name"))[name]


def _load(path: Path, wanted: str | None) -> dict[str, SteeringVector]:
    """Read one member or all."""
    if not path.is_file():
        raise TonearmError(f"no bundle at {path}; `tonearm vectors bundle` makes one")
    with open_tensors(path) as file:
        metadata = dict(file.metadata() or {})
        members = _members(path, metadata)
        check_size(path)
        if wanted is not None and wanted not in members:
            raise TonearmError(
                f"{path} holds no vector {quoted(wanted)}; there are {', '.join(members)}"
            )
        chosen = members if wanted is None else [wanted]
        keys = _by_member(path, file.keys(), members)
        tensors = {
            name: {key: file.get_tensor(f"{name}/{key}") for key in keys[name]} for name in chosen
        }
    own = [key for key in metadata if key not in (BUNDLE_KEY, MEMBERS_KEY)]
    fields = _by_member(path, own, members)
    found = {}
    for name in chosen:
        where = f"{path}{MEMBER}{name}"
        own_metadata = {key: metadata[f"{name}/{key}"] for key in fields[name]}
        check_format(where, own_metadata)
        found[name] = vector_of(where, tensors[name], own_metadata)
    return found


def _members(path: Path, metadata: Mapping[str, str]) -> list[str]:
    """Names of a bundle's vectors, after a check of its format."""
    version = metadata.get(BUNDLE_KEY)
    if version is None:
        raise TonearmError(
            f"{path} is a safetensors file but not a bundle; `tonearm vectors bundle` makes one"
        )
    if version != str(BUNDLE_FORMAT):
        raise TonearmError(
            f"{path} has bundle format {shortened(version)}, this Tonearm reads {BUNDLE_FORMAT}; "
            "update Tonearm"
        )
    names = parse_json(metadata.get(MEMBERS_KEY, ""), f"{MEMBERS_KEY} of {path}", AGAIN)
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or not 1 <= len(set(names)) == len(names) <= MAX_MEMBERS:
        raise TonearmError(
            f"{path} is damaged: {MEMBERS_KEY} is no list of 1 to {MAX_MEMBERS} names; {AGAIN}"
        )
    for name in names:
        if fault := member_fault(name):
            raise TonearmError(
                f"{path} is damaged: the name {quoted(name)} of a vector {fault}; {AGAIN}"
            )
    return names


def _by_member(path: Path, keys: Iterable[str], members: list[str]) -> dict[str, list[str]]:
    """Keys of every member, without its name before them."""
    found: dict[str, list[str]] = {name: [] for name in members}
    for key in keys:
        name, _, own = key.partition("/")
        if name not in found or not own:
            raise TonearmError(
                f"{path} is damaged: {quoted(key)} belongs to none of its vectors; {AGAIN}"
            )
        found[name].append(own)
    return found
