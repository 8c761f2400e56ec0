"""Configurations of injection as steers."""

from tonearm.errors import TonearmError
from tonearm.steering import Configuration, Schedule, Steer, SteeringVector


def steer_of(name: str, configuration: Configuration, strength: float) -> Steer:
    """The steer of a configuration; its ramp becomes a schedule."""
    schedule = Schedule.ramp(0.0, configuration.ramp) if configuration.ramp else None
    fields = configuration.model_dump(exclude={"ramp"})
    return Steer(vector=name, strength=strength, schedule=schedule, **fields)


def layers_of(
    configuration: Configuration, vector: SteeringVector, layer_count: int
) -> dict[int, int]:
    """Target layer -> source layer of its direction.

    Args:
        configuration: of the injection.
        vector: whose best layer is the source where none is given.
        layer_count: L of the checkpoint.

    Raises:
        TonearmError: neither the configuration nor the vector names a source layer.
    """
    targets = range(layer_count) if configuration.layers is None else configuration.layers
    if configuration.strategy == "all-to-all":
        return {layer: layer for layer in targets}
    source = configuration.source_layer
    source = vector.info.best_layer if source is None else source
    if source is None:
        raise TonearmError(
            f"vector {vector.name} names no best layer; give the configuration a source layer"
        )
    if configuration.strategy == "one-to-one":
        return {source: source}
    return dict.fromkeys(targets, source)
