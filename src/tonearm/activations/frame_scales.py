"""Measurement of a vector's frame scales: mean and standard deviation of h·r over generated frames.

Plain takes of neutral prompts are generated with the checkpoint's own sampling, and the activations
of the conditional rows are projected while they are decoded. Positions before the delay is over are
left out: their columns lack codes, as at no position within a clip.

Shapes: B takes of a batch; S positions of a call; L layers; D width.
"""

from collections.abc import Sequence

import torch

from tonearm import boundary
from tonearm.activations.capture import equal_length_batches
from tonearm.activations.moments import RunningMoments
from tonearm.backend import ModelShape, Site, Span, Tap
from tonearm.errors import TonearmError
from tonearm.musicgen.conditioning import Conditioning, condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.engine import Engine, whole_positions
from tonearm.progress import Progress
from tonearm.steering import FrameScales, SteeringVector
from tonearm.steering.operators import unit
from tonearm.steering.resolve import check_vector

DIGITS = 9  # significant ones of a scale in a vector's metadata: those of float32


def measure_frame_scales(
    engine: Engine,
    vector: SteeringVector,
    prompts: Sequence[str],
    *,
    seconds: float = 10.0,
    seed: int = 0,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> SteeringVector:
    """Measure the scales of generated frames in all layers of a vector.

    Args:
        engine: of the checkpoint for which the vector was made.
        vector: to be measured.
        Others: as for `measure_scales_of_several`.

    Returns:
        The vector with its scales.

    Raises:
        TonearmError: see `measure_scales_of_several`.
    """
    (measured,) = measure_scales_of_several(
        engine,
        [vector],
        prompts,
        seconds=seconds,
        seed=seed,
        batch_size=batch_size,
        progress=progress,
    )
    return measured


def measure_scales_of_several(
    engine: Engine,
    vectors: Sequence[SteeringVector],
    prompts: Sequence[str],
    *,
    seconds: float = 10.0,
    seed: int = 0,
    batch_size: int = 16,
    progress: Progress | None = None,
) -> list[SteeringVector]:
    """Measure the scales of several vectors on the same takes.

    Memory does not grow with the number of prompts.

    Args:
        engine: of the checkpoint for which the vectors were made.
        vectors: to be measured.
        prompts: neutral ones, one take each.
        seconds: of each take, up to the checkpoint's window.
        seed: of the first prompt; prompt i has seed + i.
        batch_size: takes per batch.
        progress: called with prompts done and prompts in all.

    Returns:
        The vectors with their scales.

    Raises:
        TonearmError: a vector of another checkpoint, no prompts or one that is too long, or a
            length that is not possible.
    """
    checkpoint, shape = engine.checkpoint, engine.checkpoint.shape
    for vector in vectors:
        check_vector(shape, boundary.instance(vector, "vector", SteeringVector, "a SteeringVector"))
    texts = boundary.sequence(prompts, "prompts", boundary.text, "a list of texts")
    if not texts:
        raise TonearmError("no prompts were given; give at least one")
    if boundary.integer(batch_size, "batch_size") < 1:
        raise TonearmError(f"batch size {batch_size} is not possible; use 1 or more")
    frames, first_seed = _frames(shape, boundary.number(seconds, "seconds")), boundary.seed(seed)
    sampling, positions, done = checkpoint.sampling, whole_positions(shape, frames), 0
    moments = [RunningMoments() for _ in vectors]
    for batch in equal_length_batches(checkpoint, texts, batch_size):
        guided = sampling.strongest_guidance > 1
        conditioning = condition(checkpoint, [texts[index] for index in batch], guided=guided)
        seeds = [first_seed + index for index in batch]
        request = DecodeRequest(conditioning, frames, [sampling] * len(batch), seeds, ())
        found = [
            {layer: _Projections(conditioning, vector[layer], positions) for layer in vector.layers}
            for vector in vectors
        ]
        taps: dict[tuple[Site, int], list[Tap]] = {}
        for vector, of_layers in zip(vectors, found, strict=True):
            for layer, projections in of_layers.items():
                taps.setdefault((vector.info.site, layer), []).append(projections)
        engine.decode(request, read=taps)
        for moment, of_layers in zip(moments, found, strict=True):
            moment.add(torch.stack([one.values() for one in of_layers.values()], dim=-1))
        done += len(batch)
        if progress:
            progress(done, len(texts))
    protocol = (
        f"{shape.public_name} {shape.fingerprint}, {len(texts)} takes of {seconds:g} s, seeds from "
        f"{first_seed}, guidance {sampling.guidance:g}, temperature {sampling.temperature:g}"
    )
    return [
        vector.with_frame_scales(_scales(vector, moment, protocol))
        for vector, moment in zip(vectors, moments, strict=True)
    ]


def _scales(vector: SteeringVector, moments: RunningMoments, protocol: str) -> FrameScales:
    """Scales of the moments of projections [n, L]."""
    return FrameScales(
        means=_by_layer(vector, moments.mean),
        deviations=_by_layer(vector, moments.variance.sqrt()),
        protocol=f"{protocol}, {moments.count} frames",
    )


def _frames(shape: ModelShape, seconds: float) -> int:
    """Frames of a take in which some positions are past the delay."""
    shortest = (1 + shape.delay_frames) / shape.frame_rate
    if not shortest <= seconds <= shape.window_seconds:
        raise TonearmError(
            f"takes of {seconds:g} s are not possible; use {shortest:g} to "
            f"{shape.window_seconds:g} s"
        )
    return round(seconds * shape.frame_rate)


def _by_layer(vector: SteeringVector, values: torch.Tensor) -> dict[int, float]:
    pairs = zip(vector.layers, values.tolist(), strict=True)
    return {layer: float(f"{value:.{DIGITS}g}") for layer, value in pairs}


class _Projections:
    """Projections of one layer's activations on its unit direction; a tap."""

    def __init__(self, conditioning: Conditioning, direction: torch.Tensor, positions: range):
        self.conditioning, self.positions = conditioning, positions
        self.direction = unit(direction).to(conditioning.states.device)
        self.kept: list[torch.Tensor] = []  # [B, S] each

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        if span.first == 0:  # generate() runs its first step twice on cross-attention checkpoints
            self.kept = []
        wanted = [
            span.prefix + place
            for place, position in enumerate(span.code_positions)
            if position in self.positions
        ]
        if wanted:
            rows = self.conditioning.conditional(h)[:, wanted].float()
            self.kept.append((rows * self.direction).sum(-1).cpu())

    def values(self) -> torch.Tensor:
        """Projections of all takes and positions, [B * positions]."""
        assert self.kept, "the tap was never reached"
        return torch.cat(self.kept, dim=1).flatten()
