"""Capture of activations from prompts, per layer and site.

Poolings that need music generate it from the prompt, with the seed given, at guidance 3 and
temperature 1 whatever the checkpoint's own; the others need one forward pass.

Shapes: b prompts of a batch; n rows; L layers; D width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from tonearm.activations.moments import RunningMoments
from tonearm.activations.pooling import POOLINGS, check_pooling
from tonearm.backend import ModelShape, Site
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.engine import Engine
from tonearm.musicgen.sampling import Sampling
from tonearm.musicgen.text_tokens import count_tokens, padded_tokens
from tonearm.progress import Progress


@dataclass(frozen=True)
class CaptureSpec:
    """Activations to capture. `seconds` and `seed` matter for poolings that need music.

    pooling  default: eos on prefix checkpoints, mean on the others
    """

    site: Site = "residual"
    pooling: str | None = None
    batch_size: int = 16
    seconds: float = 2.0
    seed: int = 0

    def resolved(self, shape: ModelShape) -> "CaptureSpec":
        """Fill in defaults and check against a checkpoint. Raises TonearmError."""
        pooling = self.pooling or shape.default_pooling
        shape.check_site(self.site)
        if check_pooling(pooling).needs_prefix and not shape.text_in_prefix:
            raise TonearmError(
                f"pooling {pooling} needs the text in the decoder's prefix; {shape.name} reads it by "
                "cross-attention: use mean, first or last"
            )
        if self.batch_size < 1:
            raise TonearmError(f"batch size {self.batch_size} is not possible; use 1 or more")
        if not 0 < self.seconds <= shape.window_seconds:
            raise TonearmError(
                f"{self.seconds:g} s per prompt is not possible; "
                f"use above 0 up to {shape.window_seconds:g} s"
            )
        return CaptureSpec(self.site, pooling, self.batch_size, self.seconds, self.seed)


@dataclass(frozen=True)
class ActivationRows:
    """Rows float32 [n, L, D] and the index of each row's example, int64 [n], on the CPU."""

    rows: torch.Tensor
    examples: torch.Tensor


def capture_rows(
    engine: Engine,
    prompts: Sequence[str],
    spec: CaptureSpec,
    progress: Progress | None = None,
) -> Iterator[ActivationRows]:
    """Capture rows batch by batch; memory does not grow with the number of prompts.

    Args:
        engine: to run.
        prompts: the examples.
        spec: site, pooling and sizes.
        progress: called with prompts done and prompts in all.

    Yields:
        Rows of one batch; `examples` index `prompts`.

    Raises:
        TonearmError: a site or pooling that the checkpoint does not have, or a prompt that is too
            long.
    """
    checkpoint = engine.checkpoint
    spec = spec.resolved(checkpoint.shape)
    done = 0
    for batch in equal_length_batches(checkpoint, prompts, spec.batch_size):
        yield _capture_batch(engine, prompts, batch, spec)
        done += len(batch)
        if progress:
            progress(done, len(prompts))


def equal_length_batches(
    checkpoint: Checkpoint, prompts: Sequence[str], size: int
) -> Iterator[list[int]]:
    """Divide prompts into batches of one padded length.

    Prefix checkpoints read the padding of a text, so only prompts of equal length share a batch.

    Args:
        checkpoint: of the tokenizer.
        prompts: of any lengths.
        size: of a batch, at most.

    Yields:
        Indices of prompts, in the order of their lengths, and within one length in their order.

    Raises:
        TonearmError: a prompt that is too long.
    """
    lengths = padded_lengths(checkpoint, prompts)
    order = sorted(range(len(prompts)), key=lengths.__getitem__)
    for _, group in groupby(order, key=lengths.__getitem__):
        members = list(group)
        for first in range(0, len(members), size):
            yield members[first : first + size]


def capture_moments(
    engine: Engine,
    prompts: Sequence[str],
    spec: CaptureSpec,
    progress: Progress | None = None,
) -> RunningMoments:
    """Running moments of the rows, [L, D]; arguments as for `capture_rows`."""
    if not prompts:
        raise TonearmError("no prompts were given; give at least one")
    moments = RunningMoments()
    for captured in capture_rows(engine, prompts, spec, progress):
        moments.add(captured.rows)
    return moments


def padded_lengths(checkpoint: Checkpoint, prompts: Sequence[str]) -> list[int]:
    """Tokens to which each prompt is padded. Raises TonearmError for one that is too long."""
    counts = count_tokens(checkpoint, prompts)
    return [
        padded_tokens(checkpoint, prompt, count)
        for prompt, count in zip(prompts, counts, strict=True)
    ]


def _capture_batch(
    engine: Engine, prompts: Sequence[str], batch: Sequence[int], spec: CaptureSpec
) -> ActivationRows:
    checkpoint, shape = engine.checkpoint, engine.checkpoint.shape
    pooling = check_pooling(spec.pooling or "")
    texts = [prompts[index] for index in batch]
    conditioning = condition(checkpoint, texts, guided=pooling.needs_codes)
    pools = [POOLINGS[spec.pooling or ""](conditioning) for _ in range(shape.layer_count)]
    taps = {(spec.site, layer): [pool] for layer, pool in enumerate(pools)}
    if pooling.needs_codes:
        frames = max(2, round(spec.seconds * shape.frame_rate))
        seeds = [spec.seed + index for index in batch]
        sampling = [Sampling()] * len(batch)
        engine.decode(DecodeRequest(conditioning, frames, sampling, seeds, ()), read=taps)
    else:
        engine.read(conditioning, taps)
    pooled = [pool.rows() for pool in pools]
    examples = torch.tensor(list(batch))[pooled[0][1]]
    return ActivationRows(torch.stack([rows for rows, _ in pooled], dim=1), examples)
