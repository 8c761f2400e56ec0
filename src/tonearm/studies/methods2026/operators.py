"""Operators that the study compares, each with one size that grows from 0.

add    size is the mean length of the added vector, relative to that of the activations
slerp  size is the share of the angle to the direction by which an activation is turned
set    size is the level, in standard deviations of the projection over generated frames, at which the
       projection is held
gated  size is that of add, which acts at each frame and layer with probability GATE, as in MusicRFM
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tonearm.steering.spec import MAX_LEVEL, MAX_STRENGTH

GATE = 0.3


@dataclass(frozen=True)
class Operator:
    """A way to move activations along a direction.

    name    in the records
    fields  of a steer, from a size and the vector's scale: the strength of size 1
    sizes   of the divergence curve
    least   smallest size
    most    largest size
    """

    name: str
    fields: Callable[[float, float], Mapping[str, Any]]
    sizes: tuple[float, ...] = (0.005, 0.02, 0.08, 0.3, 1.0)
    least: float = 0.0
    most: float = MAX_STRENGTH


ADD = Operator("add", lambda size, scale: {"operator": "add", "strength": size * scale})
SLERP = Operator(
    "slerp",
    lambda size, scale: {"operator": "slerp", "strength": size},
    sizes=(0.004, 0.015, 0.06, 0.2, 0.5),
    most=1.0,
)
SET = Operator(
    "set",
    lambda size, scale: {"operator": "set", "strength": 1.0, "level": size},
    sizes=(0.5, 2.0, 6.0, 20.0, 60.0),
    least=0.5,
    most=MAX_LEVEL,
)
GATED = Operator(
    "gated add",
    lambda size, scale: {"operator": "add", "strength": size * scale, "gate": GATE},
)
