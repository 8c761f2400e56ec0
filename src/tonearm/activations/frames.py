"""Activations of every frame of clips: one teacher-forced pass, one row per code position.

Rows are those of positions whose column has a code of every codebook
(`tonearm.musicgen.engine.whole_positions`), so that no BOS is among them. Clips with a text can be
read on both guidance branches: with their text, and with the null text.

Shapes: n clips; B clips of a batch; R forward rows; S positions of a call; D width; m rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from tonearm.activations.audio import MAX_BATCH
from tonearm.activations.capture import padded_lengths
from tonearm.activations.clips import Clips
from tonearm.backend import Site, Span, Tap
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.engine import Engine, whole_positions
from tonearm.musicgen.memory_estimate import BatchShape, memory_budget, rows_that_fit


@dataclass(frozen=True)
class FrameRows:
    """Rows of the frames of clips.

    rows     by layer, float32 [m, D], on the CPU
    clips    index of each row's clip, int64 [m]; a clip's rows are in the order of its frames
    """

    rows: Mapping[int, torch.Tensor]
    clips: torch.Tensor


def read_frames(
    engine: Engine, clips: Clips, site: Site, layers: Sequence[int], *, both_branches: bool = False
) -> FrameRows:
    """Read the activations of all frames of clips.

    Args:
        engine: to run.
        clips: to read.
        site: of the activations.
        layers: likewise.
        both_branches: read clips with a text twice: with the text, and with the null text.
    """
    shape = engine.checkpoint.shape
    positions = whole_positions(shape, clips.frames)
    found: dict[int, list[torch.Tensor]] = {layer: [] for layer in layers}
    owners = list[torch.Tensor]()
    for batch in clip_batches(engine.checkpoint, clips, both_branches):
        texts = [clips.records[index].text for index in batch]
        guided = both_branches and texts[0] is not None
        conditioning = condition(engine.checkpoint, texts, guided=guided)
        pools = {layer: _FramePool(positions) for layer in layers}
        taps: dict[tuple[Site, int], list[Tap]] = {
            (site, layer): [pool] for layer, pool in pools.items()
        }
        engine.read(conditioning, taps, clips.codes[batch].long())
        for layer, pool in pools.items():
            assert pool.rows is not None, "a tap was never reached"
            found[layer].append(pool.rows.flatten(0, 1).cpu())
        repeats = torch.tensor(batch).repeat(2 if guided else 1)
        owners.append(repeats.repeat_interleave(len(positions)))
    return FrameRows({layer: torch.cat(rows) for layer, rows in found.items()}, torch.cat(owners))


class _FramePool:
    """Tap that keeps the rows at some code positions, float32 [R, S, D], of one forward pass."""

    def __init__(self, positions: range):
        self.positions = positions
        self.rows: torch.Tensor | None = None

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        codes = h[:, span.prefix :]
        self.rows = codes[:, self.positions.start : self.positions.stop].float()


class FrameReplacement:
    """Tap that replaces the activations at some code positions of one forward pass.

    Args:
        positions: code positions whose activations are replaced.
        replace: activations float32 [.., D] -> their replacement.
    """

    def __init__(self, positions: range, replace: Callable[[torch.Tensor], torch.Tensor]):
        self.positions, self.replace = positions, replace

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor:
        first = span.prefix + self.positions.start
        here = slice(first, first + len(self.positions))
        changed = h.clone()
        changed[:, here] = self.replace(h[:, here].float()).to(h)
        return changed


def clip_batches(
    checkpoint: Checkpoint, clips: Clips, both_branches: bool = False
) -> Iterator[list[int]]:
    """Divide clips into batches that fit the memory; all texts of a batch are of one length.

    Args:
        checkpoint: to read them.
        clips: to divide.
        both_branches: clips with a text are read on both guidance branches.

    Yields:
        Indices of a batch's clips.
    """
    shape = BatchShape(MAX_BATCH, both_branches, clips.frames, clips.frames, clips.frames)
    size = rows_that_fit(checkpoint, shape, memory_budget(checkpoint))
    texts = [one.text for one in clips.records]
    given = [text for text in texts if text is not None]
    lengths = dict(zip(given, padded_lengths(checkpoint, given), strict=True)) if given else {}

    def key(index: int) -> tuple[bool, int]:
        text = texts[index]
        return (text is not None, 0 if text is None else lengths[text])

    for _, group in groupby(sorted(range(len(clips)), key=key), key=key):
        members = list(group)
        for first in range(0, len(members), size):
            yield members[first : first + size]
