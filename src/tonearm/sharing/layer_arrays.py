"""Directions in plain arrays: safetensors with one tensor per layer, and .npy.

A safetensors file has the keys `N` or `layer.N`, each with a tensor [D]; whether N counts from 0 or
from 1 is not stated. A .npy file has a matrix [L, D], one row per layer, or one direction [D].
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from tonearm.errors import TonearmError
from tonearm.evaluators.array_file import read_array
from tonearm.sharing.foreign import EXPORT_AGAIN, Foreign, checked_directions
from tonearm.steering.vector import MAX_LAYERS
from tonearm.steering.vector_file import check_size, open_tensors
from tonearm.text import quoted

NPY = ".npy"
_KEY = re.compile(r"(?:layer\.)?(0|[1-9][0-9]{0,4})")


def holds_layer_tensors(path: Path) -> bool:
    """Whether a safetensors file has the keys of one tensor per layer, and is not Tonearm's own;
    damaged and absent files are none.
    """
    if not path.is_file():
        return False
    try:
        with open_tensors(path) as file:
            keys, metadata = list(file.keys()), file.metadata() or {}
    except TonearmError:
        return False
    return bool(keys) and "tonearm_format" not in metadata and all(map(_KEY.fullmatch, keys))


def read_layer_tensors(path: Path) -> Foreign:
    """Read a safetensors file of one tensor [D] per layer.

    Raises:
        TonearmError: no file, a damaged one, other keys, or tensors that are no directions.
    """
    if not path.is_file():
        raise TonearmError(f"no file at {path}; give a safetensors file of directions")
    with open_tensors(path) as file:
        if "tonearm_format" in (file.metadata() or {}):
            raise TonearmError(f"{path} is a vector of Tonearm already; use it as it is")
        numbers = _numbers(path, file.keys())
        check_size(path)
        tensors = {number: file.get_tensor(key) for number, key in numbers.items()}
    for number, tensor in tensors.items():
        if not tensor.dtype.is_floating_point:
            raise TonearmError(
                f"direction {number} of {path} is of type {tensor.dtype}; give floating-point numbers"
            )
    directions = checked_directions(path, tensors)
    return Foreign("safetensors file of one tensor per layer", directions, "unstated")


def _numbers(path: Path, keys: Iterable[str]) -> dict[int, str]:
    """Keys by the number of their layer."""
    found: dict[int, str] = {}
    for key in keys:
        match = _KEY.fullmatch(key)
        if match is None:
            raise TonearmError(
                f"{path} holds the tensor {quoted(key)}; a file of directions has the keys 0, 1, ... "
                "or layer.0, layer.1, ..."
            )
        if int(match[1]) in found:
            raise TonearmError(f"{path} holds two directions {match[1]}; {EXPORT_AGAIN}")
        found[int(match[1])] = key
    return found


def read_npy(path: Path) -> Foreign:
    """Read a .npy file of a matrix [L, D] or one direction [D].

    Raises:
        TonearmError: no file, a damaged one, Python objects, or another shape.
    """
    array = read_array(path)
    if array.dtype.kind != "f":
        raise TonearmError(
            f"{path} holds values of type {array.dtype}; give floating-point numbers"
        )
    if array.ndim not in (1, 2) or (array.ndim == 2 and len(array) > MAX_LAYERS):
        raise TonearmError(
            f"{path} holds an array of shape {list(array.shape)}; give one row per layer [L, D], or "
            "one direction [D]"
        )
    # float64 before the check, so that values beyond float32 are found and cause no warning
    rows = torch.from_numpy(np.atleast_2d(array).astype(np.float64))
    directions = checked_directions(path, dict(enumerate(rows)))
    if len(directions) == 1:
        return Foreign("array of one direction", directions, "single")
    return Foreign("array of one row per layer", directions, "rows")
