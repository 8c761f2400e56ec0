"""Content hashes of audio, codes and texts."""

import hashlib
from collections.abc import Sequence

import numpy as np

from tonearm.audio import Clip


def hash_clip(clip: Clip) -> str:
    """sha256 (hexadecimal) of a clip's samples, shape and sample rate."""
    header = f"{clip.sample_rate} {clip.samples.shape}".encode()
    return hashlib.sha256(header + clip.samples.astype("<f4").tobytes()).hexdigest()


def hash_codes(codes: np.ndarray) -> str:
    """sha256 (hexadecimal) of codes [K, T]."""
    content = str(codes.shape).encode() + codes.astype("<i8").tobytes()
    return hashlib.sha256(content).hexdigest()


def hash_texts(*groups: Sequence[str]) -> str:
    """Sixteen hexadecimal digits that identify groups of texts, such as two prompt sets."""
    digest = hashlib.sha256()
    for group in groups:
        digest.update(b"\x00group\x00" + b"\x00".join(text.encode() for text in group))
    return digest.hexdigest()[:16]
