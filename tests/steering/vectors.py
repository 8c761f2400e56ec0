"""Random steering vectors for tests."""

from typing import Any

import torch

from tonearm.model import Model
from tonearm.steering import FrameScales, SteeringVector, VectorInfo


def random_vector(
    layers: int = 3, width: int = 8, seed: int = 0, size: float = 1.0, **info: Any
) -> SteeringVector:
    """Vector with random directions.

    Args:
        layers: number of layers.
        width: D.
        seed: of the directions.
        size: standard deviation of their elements.
        info: fields of VectorInfo.
    """
    generator = torch.Generator().manual_seed(seed)
    fields = {
        "name": "v",
        "checkpoint": "toy",
        "fingerprint": "f" * 16,
        "width": width,
        "layer_count": layers,
        "best_layer": 1,
    } | info
    directions = {i: size * torch.randn(width, generator=generator) for i in range(layers)}
    return SteeringVector(directions, VectorInfo(**fields))


def vector_of(
    model: Model, name: str = "v", seed: int = 0, size: float = 2.0, **info: Any
) -> SteeringVector:
    """Random vector that fits the model, with frame scales; arguments as for `random_vector`."""
    shape = model.shape
    fields = {
        "name": name,
        "checkpoint": shape.public_name,
        "fingerprint": shape.fingerprint,
        "frame_scales": scales_of(shape.layer_count, seed),
    }
    return random_vector(shape.layer_count, shape.width, seed, size, **fields | info)


def scales_of(layers: int, seed: int = 0) -> FrameScales:
    """Frame scales that differ from layer to layer."""
    return FrameScales(
        means={layer: 0.5 * layer - 0.3 - 0.1 * seed for layer in range(layers)},
        deviations={layer: 1.0 + 0.25 * layer for layer in range(layers)},
    )
