"""Random steering vectors for tests."""

from typing import Any

import torch

from tonearm.model import Model
from tonearm.steering import SteeringVector, VectorInfo


def random_vector(layers: int = 3, width: int = 8, seed: int = 0, size: float = 1.0, **info: Any) -> SteeringVector:
    generator = torch.Generator().manual_seed(seed)
    fields = (
        dict(name="v", checkpoint="toy", fingerprint="f" * 16, width=width, layer_count=layers, best_layer=1) | info
    )
    directions = {i: size * torch.randn(width, generator=generator) for i in range(layers)}
    return SteeringVector(directions, VectorInfo(**fields))


def vector_of(model: Model, name: str = "v", seed: int = 0, size: float = 2.0, **info: Any) -> SteeringVector:
    """A random vector that fits the model."""
    c = model.checkpoint
    return random_vector(
        c.shape.layer_count, c.shape.width, seed, size, name=name, checkpoint=c.shape.name, fingerprint=c.shape.fingerprint, **info
    )
