"""Prompts -> activations: what the decoder holds, per layer and site, while it reads (and plays) each prompt.

    pooling  positions that make one row                                   checkpoints
    eos      the text's EOS in the prefix (Facchiano et al. 2025, 3.1)     prefix only
    first    code position 0, where the first frame is decided             all
    last     the last code position                                        all
    mean     the mean over all code positions                              all

Rows are those of the conditional branch. `eos` and `first` need one forward pass; `last` and `mean` need music, which is generated
from the prompt (`seconds`, with the seed given, at guidance 3 and temperature 1 whatever the checkpoint's own). Text padding never counts.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import torch

from tonearm.activations.moments import RunningMoments
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import Conditioning, condition, text_room
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.engine import Engine
from tonearm.musicgen.hooks import Span
from tonearm.musicgen.sampling import Sampling
from tonearm.steering.vector import Site

Pooling = Literal["eos", "first", "last", "mean"]
POOLINGS: tuple[Pooling, ...] = ("eos", "first", "last", "mean")
OnBatch = Callable[[int, int], None]  # prompts done, prompts in all


@dataclass(frozen=True)
class CaptureSpec:
    """What to capture. seconds and seed matter for `last` and `mean` only."""

    site: Site = "residual"
    pooling: Pooling | None = None  # None: eos on prefix checkpoints, mean on the others
    batch_size: int = 16
    seconds: float = 2.0
    seed: int = 0

    def resolved(self, checkpoint: Checkpoint) -> "CaptureSpec":
        """Defaults filled in and checked against the checkpoint; raises TonearmError."""
        pooling = self.pooling or checkpoint.family.default_pooling
        if self.site not in checkpoint.family.sites:
            raise TonearmError(
                f"{checkpoint.name} has no site {self.site!r}; use one of {', '.join(checkpoint.family.sites)}"
            )
        if pooling not in POOLINGS:
            raise TonearmError(f"pooling {pooling!r} is not known; use one of {', '.join(POOLINGS)}")
        if pooling == "eos" and not checkpoint.family.text_in_prefix:
            raise TonearmError(
                f"pooling eos needs the text in the decoder's prefix; {checkpoint.name} reads it by cross-attention: use mean, first or last"
            )
        if self.batch_size < 1:
            raise TonearmError(f"batch size {self.batch_size} is not possible; use 1 or more")
        if not 0 < self.seconds <= checkpoint.window_seconds:
            raise TonearmError(
                f"{self.seconds:g} s per prompt is not possible; use above 0 up to {checkpoint.window_seconds:g} s"
            )
        return CaptureSpec(self.site, pooling, self.batch_size, self.seconds, self.seed)


def capture_rows(
    engine: Engine, prompts: Sequence[str], what: CaptureSpec, on_batch: OnBatch | None = None
) -> Iterator[torch.Tensor]:
    """Yield float32 [b, L, D] for each batch of b prompts, on the CPU. Memory does not grow with the number of prompts.

    The rows come in the order of the prompts' lengths: prefix checkpoints read the padding of a text, so that only prompts of equal
    length share a batch. Within one length the order is kept.
    """
    what = what.resolved(engine.checkpoint)
    rooms = [text_room(engine.checkpoint, prompt) for prompt in prompts]
    order = sorted(range(len(prompts)), key=rooms.__getitem__)
    done = 0
    for _, group in groupby(order, key=rooms.__getitem__):
        members = list(group)
        for first in range(0, len(members), what.batch_size):
            batch = members[first : first + what.batch_size]
            yield _capture_batch(engine, [prompts[i] for i in batch], what, [what.seed + i for i in batch])
            done += len(batch)
            if on_batch:
                on_batch(done, len(prompts))


def capture_moments(
    engine: Engine, prompts: Sequence[str], what: CaptureSpec, on_batch: OnBatch | None = None
) -> RunningMoments:
    """Running mean and variance of the rows, [L, D]."""
    if not prompts:
        raise TonearmError("no prompts were given; give at least one")
    moments = RunningMoments()
    for rows in capture_rows(engine, prompts, what, on_batch):
        moments.add(rows)
    return moments


def hash_of(*groups: Sequence[str]) -> str:
    """Sixteen hexadecimal digits that name the data a vector was learned from."""
    digest = hashlib.sha256()
    for group in groups:
        digest.update(b"\x00group\x00" + b"\x00".join(text.encode() for text in group))
    return digest.hexdigest()[:16]


def _capture_batch(engine: Engine, prompts: Sequence[str], what: CaptureSpec, seeds: Sequence[int]) -> torch.Tensor:
    checkpoint = engine.checkpoint
    musical = what.pooling in ("last", "mean")
    conditioning = condition(checkpoint, prompts, guided=musical)
    pools = [_Pool(what.pooling or "", conditioning) for _ in checkpoint.layers]
    taps = {(what.site, i): [pool] for i, pool in enumerate(pools)}
    if musical:
        frames = max(2, round(what.seconds * checkpoint.frame_rate))
        engine.decode(DecodeRequest(conditioning, frames, [Sampling()] * len(prompts), seeds, ()), read=taps)
    else:
        engine.read_prefix(conditioning, taps)
    return torch.stack([pool.rows() for pool in pools], dim=1)


class _Pool:
    """A tap that reads, and keeps one row [D] per prompt."""

    def __init__(self, pooling: str, conditioning: Conditioning):
        self.pooling, self.conditioning = pooling, conditioning
        self.total: torch.Tensor | None = None
        self.count = 0

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        h = h[: self.conditioning.rows].float()
        if self.pooling == "eos":
            if span.prefix:
                self.total, self.count = h[torch.arange(len(h)), self.conditioning.eos_positions], 1
            return
        codes = h[:, span.prefix :]
        if self.pooling == "first":
            if span.first == 0:
                self.total, self.count = codes[:, 0], 1
        elif self.pooling == "last":
            self.total, self.count = codes[:, -1], 1
        else:
            if span.first == 0:  # generate() runs its first step twice on cross-attention checkpoints
                self.total, self.count = None, 0
            added = codes.sum(1)
            self.total = added if self.total is None else self.total + added
            self.count += codes.shape[1]

    def rows(self) -> torch.Tensor:
        assert self.total is not None, "the tap was never reached"
        return (self.total / self.count).cpu()
