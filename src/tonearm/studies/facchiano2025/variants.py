"""Ways to inject a vector, each with a name in the records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tonearm.steering import Schedule, Steer
from tonearm.studies.facchiano2025.materials import random_name, subset_name

FIRST_STEP = 0.02  # seconds; the first frame of every checkpoint


@dataclass(frozen=True)
class Variant:
    """One way to inject one vector.

    name    in the records
    pair    prompt pair that it is about
    vector  name of the vector
    fields  of the steer
    """

    name: str
    pair: str
    vector: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def steer(self, strength: float) -> Steer:
        return Steer(vector=self.vector, strength=strength, **self.fields)


def layer_variant(pair: str, layer: int) -> Variant:
    """A layer's direction in all layers."""
    return Variant(f"{pair}, layer {layer}", pair, pair, {"source_layer": layer})


def strategy_variant(pair: str, strategy: str, layer: int) -> Variant:
    """One-to-all and one-to-one take the direction of `layer`; all-to-all each layer's own."""
    fields: dict[str, Any] = {"strategy": strategy}
    if strategy != "all-to-all":
        fields["source_layer"] = layer
    return Variant(f"{pair}, {strategy}", pair, pair, fields)


def branch_variant(pair: str, branch: str, layer: int) -> Variant:
    """Injection into some guidance branches."""
    fields = {"source_layer": layer, "branch": branch}
    return Variant(f"{pair}, branch {branch}", pair, pair, fields)


def first_step_variant(pair: str, layer: int) -> Variant:
    """Injection at the first step alone."""
    fields = {"source_layer": layer, "schedule": Schedule.window(0.0, FIRST_STEP)}
    return Variant(f"{pair}, first step", pair, pair, fields)


def random_variant(pair: str, index: int, layer: int) -> Variant:
    """A random direction in all layers, with the norm that the pair's has in `layer`."""
    name = random_name(pair, index)
    return Variant(name, pair, name, {"source_layer": layer})


def subset_variant(pair: str, size: int, draw: int, layer: int) -> Variant:
    """The direction of some of the pair's prompts."""
    name = subset_name(pair, size, draw)
    return Variant(name, pair, name, {"source_layer": layer})


def pair_variant(pair: str) -> Variant:
    """A further pair, each layer's direction in its own layer: no layer was chosen for it."""
    return strategy_variant(pair, "all-to-all", 0)
