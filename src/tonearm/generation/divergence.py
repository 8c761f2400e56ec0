"""Divergence of steered from plain predictions on given takes, teacher-forced.

Shapes: K codebooks, T frames.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from tonearm.backend import ModelShape
from tonearm.errors import TonearmError
from tonearm.generation.batching import Limits, batch_shape
from tonearm.generation.encode import encode_batch
from tonearm.generation.prepare import PreparedRequest, unsteered
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.engine import DecoderEngine
from tonearm.musicgen.memory_estimate import memory_budget, rows_that_fit
from tonearm.musicgen.teacher_forcing import mean_divergence
from tonearm.steering.vector import SteeringVector


def divergence_of(
    engine: DecoderEngine,
    steered: Sequence[PreparedRequest],
    codes: Sequence[np.ndarray],
    vectors: Mapping[str, SteeringVector],
    limits: Limits,
) -> list[float]:
    """Measure how far steering moves the predictions on the codes of plain takes.

    Args:
        engine: predicts.
        steered: requests with steering.
        codes: int64 [K, T] of the plain take of each request.
        vectors: that the requests name.
        limits: of a batch.

    Returns:
        KL(steered || plain) in nats per frame for each request.

    Raises:
        TonearmError: codes of another checkpoint or length, several windows or prompts, or a
            monitored steer.
    """
    checkpoint = engine.checkpoint
    _check(steered, codes, checkpoint.shape)
    groups: dict[Hashable, list[int]] = {}
    for index, one in enumerate(steered):
        groups.setdefault(one.batch_key, []).append(index)
    values = dict[int, float]()
    for members in _batches(groups.values(), steered, checkpoint, limits):
        rows = [steered[index] for index in members]
        plain = [unsteered(one) for one in rows]
        read = torch.stack([torch.from_numpy(codes[index]) for index in members])
        moved, unmoved = (encode_batch(checkpoint, one, vectors) for one in (rows, plain))
        divergence = mean_divergence(engine.decoder, moved, unmoved, read.to(checkpoint.device))
        values |= dict(zip(members, divergence.tolist(), strict=True))
    return [values[index] for index in range(len(steered))]


def _check(
    steered: Sequence[PreparedRequest], codes: Sequence[np.ndarray], shape: ModelShape
) -> None:
    frames = [one.frames for one in steered]
    books, entries = shape.codebooks, shape.codebook_size
    if any(len(one) != books or not ((one >= 0) & (one < entries)).all() for one in codes):
        raise TonearmError(
            f"the codes are not {books} rows of 0 to {entries - 1}; give those of this "
            "checkpoint's takes"
        )
    if [one.shape[-1] for one in codes] != frames or set(frames) - {frames[0]}:
        raise TonearmError("the takes and the requests differ in length; give equal lengths")
    if max(one or 0 for one in frames) > shape.window_frames:
        raise TonearmError(
            f"divergence is of one window, {shape.window_seconds:g} s; give shorter takes"
        )
    if any(one.prompt_frames for one in steered):
        raise TonearmError(
            "divergence is of new music alone; omit the audio prompts of the requests"
        )
    if any(one.sections for one in steered):
        raise TonearmError("divergence is of one prompt; omit the sections of the requests")
    for steer in [steer for one in steered for steer in one.steering.steers if steer.monitor]:
        raise TonearmError(
            f"steer {steer.vector}: monitor reads one frame after the other, and divergence "
            "reads all frames at once; omit monitor"
        )


def _batches(
    groups: Iterable[Sequence[int]],
    prepared: Sequence[PreparedRequest],
    checkpoint: Checkpoint,
    limits: Limits,
) -> Iterator[Sequence[int]]:
    """Divide groups of requests of one length into teacher-forced passes that fit the memory.

    A pass reads all frames at once, and the steered and the plain one are in memory together.
    """
    for members in groups:
        shape = batch_shape([prepared[index] for index in members], limits)
        whole = replace(shape, known_frames=shape.frames)
        count = rows_that_fit(checkpoint, whole, memory_budget(checkpoint) / 2)
        for first in range(0, len(members), count):
            yield members[first : first + count]
