"""Rows of training clips in a reproducible random order, chunk by chunk.

An epoch is a random order of all training clips. A chunk is a run of clips in that order, whose
frames are read from the model and mixed; it is a function of its number alone, so that a stopped
training continues at any chunk. Rows far longer than the median (attention sinks) are left out:
there are few of them, and they would dominate the squared error.

Shapes: m rows of a chunk; D width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from tonearm.activations.clips import Clips
from tonearm.activations.frames import FrameRows, read_frames
from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.musicgen.engine import Engine, whole_positions

CHUNK_ROWS = 65_536
CHUNK_BYTES = 2**29  # of all layers, unless these are fewer than CHUNK_STEPS steps
CHUNK_STEPS = 4
CROSS_ATTENTION: Site = "cross_attention"
LONGEST = 10.0  # times the median length
SCALE_BATCHES = 100  # of rows, on which the scales are measured


@dataclass(frozen=True)
class LayerScales:
    """Scales of one layer's activations.

    scale      square root of the mean squared length, of rows within the limit
    limit      LONGEST times the median length
    mean_norm  mean length, of rows within the limit
    """

    scale: float
    limit: float
    mean_norm: float


@dataclass(frozen=True)
class RowStream:
    """Rows of clips.

    engine   that reads them
    clips    training clips
    site     of the activations
    layers   likewise
    seed     of the order
    step     rows of a step of the training, of which a chunk has CHUNK_STEPS at least
    """

    engine: Engine
    clips: Clips
    site: Site
    layers: tuple[int, ...]
    seed: int
    step: int = 0

    @property
    def both_branches(self) -> bool:
        """Whether clips with texts are read on both guidance branches. False at cross-attention, whose
        output for a null text is exactly 0.
        """
        return self.site != CROSS_ATTENTION

    @property
    def chunk_clips(self) -> int:
        """Clips of a chunk."""
        shape = self.engine.checkpoint.shape
        positions = len(whole_positions(shape, self.clips.frames))
        has_text = any(one.text is not None for one in self.clips.records)
        rows_of_clip = positions * (2 if has_text and self.both_branches else 1)
        fitting = CHUNK_BYTES // (4 * shape.width * len(self.layers))
        for_steps = -(-CHUNK_STEPS * self.step // rows_of_clip)
        return max(1, min(CHUNK_ROWS, fitting) // rows_of_clip, for_steps)

    def chunk(self, number: int) -> dict[int, torch.Tensor]:
        """Read chunk `number`, from 0: mixed rows float32 [m, D] by layer."""
        chunks_per_epoch = -(-len(self.clips) // self.chunk_clips)
        epoch, place = divmod(number, chunks_per_epoch)
        order = _order(len(self.clips), self.seed, epoch)
        members = order[place * self.chunk_clips : (place + 1) * self.chunk_clips]
        found = self.read(members)
        mixed = torch.tensor(_order(len(found.clips), self.seed, number + 1))
        return {layer: rows[mixed] for layer, rows in found.rows.items()}

    def read(self, members: Sequence[int]) -> FrameRows:
        """Read the rows of some clips, of both guidance branches where they have texts."""
        return read_frames(
            self.engine,
            self.clips.chosen(members),
            self.site,
            self.layers,
            both_branches=self.both_branches,
        )

    def scales(self, rows: int) -> dict[int, LayerScales]:
        """Measure the scales of each layer on the first rows of the stream, `rows` at most, of which
        the lengths alone are kept.
        """
        kept: dict[int, list[torch.Tensor]] = {layer: [] for layer in self.layers}
        number = seen = 0
        chunks = -(-len(self.clips) // self.chunk_clips)
        while seen < rows and number < chunks:
            chunk = self.chunk(number)
            for layer, found in chunk.items():
                kept[layer].append(found[: rows - seen].norm(dim=-1))
            seen, number = seen + len(kept[self.layers[0]][-1]), number + 1
        return {layer: measure_scales(torch.cat(parts)) for layer, parts in kept.items()}


def measure_scales(lengths: torch.Tensor) -> LayerScales:
    """Measure the scales of activations by their lengths [m].

    Raises:
        TonearmError: they are zero or not finite.
    """
    limit = LONGEST * float(lengths.median())
    within = lengths[lengths <= limit].double()
    scale = float(within.square().mean().sqrt())
    if not 0 < scale < float("inf"):
        raise TonearmError(
            "the activations are zero or not finite; use dtype float32, or another layer"
        )
    return LayerScales(scale, limit, float(within.mean()))


def within_limit(rows: torch.Tensor, scales: LayerScales) -> torch.Tensor:
    """Rows [m, D] without those beyond the limit."""
    return rows[rows.norm(dim=-1) <= scales.limit]


def batches_of(rows: torch.Tensor, scales: LayerScales, size: int) -> Iterator[torch.Tensor]:
    """Normalised batches [size, D] of rows [m, D]; rows that fill no batch are left out."""
    kept = within_limit(rows, scales) / scales.scale
    for first in range(0, len(kept) - size + 1, size):
        yield kept[first : first + size]


def _order(count: int, seed: int, number: int) -> list[int]:
    """Random order of `count` items, the same for a seed and a number."""
    generator = torch.Generator().manual_seed((seed << 31) + number)
    return torch.randperm(count, generator=generator).tolist()
