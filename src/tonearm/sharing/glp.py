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
from collections.abc import Iterable
from typing import Literal

import numpy as np

from tonearm.backend import Site

SUFFIX = ".gguf"
ARCHITECTURE = "controlvector"
FAMILY = "musicgen"  # beginning of transformers' names of MusicGen's architectures
Mode = Literal["add", "project"]
HOOK_POINTS: dict[Site, str] = {
    "residual": "residual_stream_post_layer",
    "attention": "attn_out_pre_residual",
}
SPEC_VERSIONS = (1, 2)


def content_hash(arrays: Iterable[np.ndarray]) -> str:
    """Hash the bytes of directions alone (sha256, hexadecimal), in the order of their layers."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, "<f4").tobytes())
    return digest.hexdigest()
