"""Random steering vectors for tests."""

from dataclasses import replace
from typing import Any

import torch

from tonearm.model import Model
from tonearm.steering import FrameScales, SteeringVector, VectorInfo
from tonearm.steering.monitor import Monitor
from tonearm.steering.reader import packed_reader


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
    """Random vector that fits the model, with frame scales and readers; arguments as for
    `random_vector`.
    """
    shape = model.shape
    fields = {
        "name": name,
        "checkpoint": shape.public_name,
        "fingerprint": shape.fingerprint,
        "frame_scales": scales_of(shape.layer_count, seed),
    }
    vector = random_vector(shape.layer_count, shape.width, seed, size, **fields | info)
    return replace(vector, readers=readers_of(vector, seed))


def readers_of(vector: SteeringVector, seed: int = 0) -> dict[int, torch.Tensor]:
    """Random readers at all layers, whose features are active in many frames and silent in others."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return {
        layer: packed_reader(
            torch.randn(vector.info.width, generator=generator), bias=0.2 * layer, threshold=0.5
        )
        for layer in vector.layers
    }


def scales_of(layers: int, seed: int = 0) -> FrameScales:
    """Frame scales that differ from layer to layer."""
    return FrameScales(
        means={layer: 0.5 * layer - 0.3 - 0.1 * seed for layer in range(layers)},
        deviations={layer: 1.0 + 0.25 * layer for layer in range(layers)},
    )


def random_monitor(
    layers: int = 3, heads: int = 2, size: int = 4, count: int = 3, seed: int = 0, **fields: Any
) -> Monitor:
    """Monitor with random probes of different heads.

    Args:
        layers: number of layers.
        heads: H.
        size: outputs of a head.
        count: M.
        seed: of heads and probes.
        fields: of Monitor, in place of random ones.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(layers * heads, generator=generator)[:count]
    given = {
        "layers": chosen // heads,
        "heads": chosen % heads,
        "weights": torch.randn(count, size, generator=generator),
        "biases": torch.randn(count, generator=generator),
        "threshold": 0.75,
    } | fields
    return Monitor(**given)


def monitored_vector(
    model: Model,
    name: str = "v",
    seed: int = 0,
    count: int = 5,
    threshold: float = 0.5,
    gain: float = 2.0,
) -> SteeringVector:
    """Random vector of site heads with a monitor whose probabilities change from frame to frame.

    Args:
        model: that it fits.
        name: of the vector.
        seed: of directions and probes.
        count: M.
        threshold: of the monitor.
        gain: standard deviation of the probes' weights.
    """
    shape = model.shape
    monitor = random_monitor(
        shape.layer_count, shape.heads, shape.width // shape.heads, count, seed, threshold=threshold
    )
    monitor = replace(monitor, weights=gain * monitor.weights, biases=0 * monitor.biases)
    vector = vector_of(model, name, seed, site="heads")
    return replace(vector, monitor=monitor)
