"""Readouts: the projection of activations on the vectors of a steering, for meters."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from tonearm.backend import Site
from tonearm.steering.spec import Steering
from tonearm.steering.vector import SteeringVector


@dataclass(frozen=True)
class Readout:
    """Where and how the projection h · r on a vector is read.

    site, layer  of the activation h, 0-based
    direction    unit direction r of that layer, float32 [D]
    mean         of h · r over generated frames; 0 for a vector without frame scales
    deviation    standard deviation likewise; None for a vector without frame scales
    """

    vector: str
    site: Site
    layer: int
    direction: torch.Tensor
    mean: float
    deviation: float | None

    def scaled(self, projection: float) -> float:
        """A projection in standard deviations from the mean, or as it is without frame scales."""
        return (projection - self.mean) / (self.deviation or 1.0)


def readouts(steering: Steering, vectors: Mapping[str, SteeringVector]) -> tuple[Readout, ...]:
    """Readout of each vector of a steering, in order of first use.

    A vector is read where its first steer takes its direction from: at the source layer, or, for
    all-to-all, at the best layer or the last one that is steered.

    Args:
        steering: with its source layers written out.
        vectors: the vectors that it names.
    """
    found: dict[str, Readout] = {}
    for steer in steering.steers:
        if steer.vector in found:
            continue
        vector = vectors[steer.vector]
        layer = steer.source_layer
        if steer.strategy == "all-to-all":
            steered = vector.layers if steer.layers is None else steer.layers
            best = vector.info.best_layer
            layer = best if best in steered else max(steered)
        assert layer is not None
        direction = vector[layer].float()
        scales = vector.info.frame_scales
        has_scale = scales is not None and scales.deviations.get(layer, 0) > 0
        found[steer.vector] = Readout(
            vector=steer.vector,
            site=vector.info.site,
            layer=layer,
            direction=torch.nn.functional.normalize(direction, dim=0),
            mean=scales.means[layer] if scales and has_scale else 0.0,
            deviation=scales.deviations[layer] if scales and has_scale else None,
        )
    return tuple(found.values())
