"""Files of other programs, written as they write them."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.sharing.gguf_file import Gguf, gguf_bytes

# What repeng and llama.cpp's cvector-generator write beside the tensors.
PLAIN = {"general.architecture": "controlvector", "controlvector.model_hint": "musicgen"}
GLP = {
    **PLAIN,
    "glp.mode": "add",
    "glp.spec_version": 1,
    "glp.hook_point": "residual_stream_post_layer",
}


def rows(count: int, width: int = 32, seed: int = 0) -> np.ndarray:
    """Random directions, float32 [count, width]."""
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def unit_rows(count: int, width: int = 32) -> np.ndarray:
    """Random directions of norm 1."""
    found = rows(count, width)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def write_gguf(path: Path, metadata: dict[str, Any], tensors: dict[str, np.ndarray]) -> Path:
    path.write_bytes(gguf_bytes(Gguf(metadata, tensors)))
    return path


def write_directions(
    path: Path, metadata: dict[str, Any], directions: dict[int, np.ndarray]
) -> Path:
    """Write `direction.N` for every number N."""
    return write_gguf(path, metadata, {f"direction.{n}": one for n, one in directions.items()})


def text(value: str) -> bytes:
    """A string of GGUF."""
    return struct.pack("<Q", len(value.encode())) + value.encode()
