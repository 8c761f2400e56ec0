"""Operators that the study compares, each with one size that grows from 0.

add      size is the mean length of the added vector, relative to that of the activations
rotate   size is the length of the added vector relative to that of each activation; the sum is scaled
         to the norm of the activation
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tonearm.steering.spec import MAX_STRENGTH

RELATIVE_SIZES = (0.005, 0.02, 0.08, 0.3, 1.0)


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
    sizes: tuple[float, ...] = RELATIVE_SIZES
    least: float = 0.0
    most: float = MAX_STRENGTH


ADD = Operator("add", lambda size, scale: {"operator": "add", "strength": size * scale})
ROTATE = Operator("rotate", lambda size, scale: {"operator": "rotate", "strength": size})
