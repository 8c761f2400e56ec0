"""Configurations of injection as steers."""

from tonearm.backend import ModelShape
from tonearm.steering import Configuration, Schedule, Steer, SteeringVector
from tonearm.steering.resolve import target_layers


def steer_of(name: str, configuration: Configuration, strength: float) -> Steer:
    """The steer of a configuration; its ramp becomes a schedule."""
    schedule = Schedule.ramp(0.0, configuration.ramp) if configuration.ramp else None
    fields = configuration.model_dump(exclude={"ramp"})
    return Steer(vector=name, strength=strength, schedule=schedule, **fields)


def layers_of(
    configuration: Configuration, vector: SteeringVector, shape: ModelShape
) -> dict[int, int]:
    """Target layer -> source layer of its direction, as steering resolves them."""
    return target_layers(shape, steer_of(vector.name, configuration, 1.0), vector)
