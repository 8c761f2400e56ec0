"""Held-out pieces of the corpus, and decoded shards, for the model card."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tonearm
from recipes.pocket.corpus import (
    as_float,
    as_int16,
    load_audio,
    load_labels,
    load_melodies,
    melody_clip,
)
from recipes.pocket.encode import codes_path
from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import compose
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.model import Model
from tonearm.musicgen.codec import decode_codes

pocket = cache(partial(tonearm.load, device="cpu"))  # once per process, since it reads a checkpoint


@dataclass(frozen=True, eq=False)
class HeldOutPiece:
    """One held-out piece.

    labels    of the composition (`tonearm.datasets.rendering.compose.Piece.labels`)
    melody    pitch class of its lead per chroma frame, uint8 [T]
    rendered  its audio
    decoded   its audio, decoded by the codec
    """

    labels: Mapping[str, Any]
    melody: np.ndarray
    rendered: Clip
    decoded: Clip


def held_out_pairs(model: Model, out: Path, pieces: int) -> Iterator[tuple[Clip, Clip]]:
    """Yield held-out pieces, rendered and decoded by the codec.

    Args:
        model: pocket.
        out: folder with `corpus/` and `codes/`.
        pieces: number of pieces.
    """
    audio = load_audio(out / "corpus", "held-out", 0)[:pieces]
    codes = np.load(codes_path(out, "held-out", 0))[:pieces].astype(np.int64)
    for samples, piece in zip(audio, codes, strict=True):
        yield (
            Clip(as_float(samples), model.shape.sample_rate),
            decode_codes(model.checkpoint, torch.from_numpy(piece)),
        )


def load_pieces(model: Model, out: Path, pieces: int) -> list[HeldOutPiece]:
    """Load the first held-out pieces; arguments as for `held_out_pairs`."""
    labels = load_labels(out / "corpus", "held-out", 0)[:pieces]
    melodies = load_melodies(out / "corpus", "held-out", 0)[:pieces]
    pairs = held_out_pairs(model, out, pieces)
    return [
        HeldOutPiece(piece, melody, rendered, decoded)
        for piece, melody, (rendered, decoded) in zip(labels, melodies, pairs, strict=True)
    ]


def render_leads(pieces: Sequence[HeldOutPiece]) -> list[Clip]:
    """Render the lead of each piece alone."""
    renderer = Renderer()
    return [melody_clip(renderer, compose(piece.labels["seed"])) for piece in pieces]


def decoded_corpus(out: Path, split: str, shards: Iterable[int], processes: int) -> np.ndarray:
    """Decode shards with the codec.

    Args:
        out: folder with `codes/`.
        split: train or held-out.
        shards: indices of shards.
        processes: number of worker processes.

    Returns:
        int16 [pieces, samples].
    """
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, context, torch.set_num_threads, (1,)) as pool:
        return np.concatenate(list(pool.map(partial(_decoded_shard, out, split), shards)))


def _decoded_shard(out: Path, split: str, shard: int) -> np.ndarray:
    checkpoint = pocket().checkpoint
    codes = np.load(codes_path(out, split, shard)).astype(np.int64)
    return np.stack(
        [as_int16(decode_codes(checkpoint, torch.from_numpy(piece)).mono) for piece in codes]
    )
