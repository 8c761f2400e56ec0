"""Directions of several steers made orthogonal in their order, per site and layer (Gram-Schmidt).

A later direction keeps what is orthogonal to the earlier ones; the length of the remainder is kept
as it is, so that a direction that is nearly theirs does little. Steers of one vector are one: they
are not made orthogonal to each other. `set` and `clamp` state a projection on their own direction
and keep it; later directions are orthogonal to it all the same.

Shapes: D width.
"""

from collections.abc import Mapping, Sequence

import torch

from tonearm.backend import Site
from tonearm.steering.operators import Operator
from tonearm.steering.vector import SteeringVector

KEEP_DIRECTION: tuple[Operator, ...] = ("set", "clamp")
PARALLEL = 1e-6  # share of a length below which a remainder is rounding


class Orthogonaliser:
    """Makes the directions of one row's steers orthogonal, steer by steer in their order."""

    def __init__(self) -> None:
        # hash of a vector and its direction, by place, in the order of the steers
        self.earlier: dict[tuple[Site, int], list[tuple[str, torch.Tensor]]] = {}

    def __call__(
        self, vector: SteeringVector, operator: Operator, directions: Mapping[int, torch.Tensor]
    ) -> dict[int, torch.Tensor] | None:
        """Find the remainders of the next steer's directions.

        Args:
            vector: of the steer.
            operator: of the steer.
            directions: float32 [D] by target layer.

        Returns:
            float32 [D] by target layer; None where no direction changes.
        """
        found, changes, own = {}, False, vector.content_hash()
        for layer, direction in directions.items():
            here = self.earlier.setdefault((vector.info.site, layer), [])
            others = [other for content, other in here if content != own]
            here.append((own, direction))
            if others and operator not in KEEP_DIRECTION:
                direction, changes = remainder(direction, others), True
            found[layer] = direction
        return found if changes else None


def remainder(direction: torch.Tensor, others: Sequence[torch.Tensor]) -> torch.Tensor:
    """The part of a direction that is orthogonal to others, computed in float64.

    Args:
        direction: float32 [D].
        others: float32 [D] each, of any lengths and angles.

    Returns:
        float32 [D]; zeros where the others span the direction.
    """
    basis: list[torch.Tensor] = []
    for other in others:
        rest = _without(other.double(), basis)
        if rest.norm() > PARALLEL * other.norm():
            basis.append(rest / rest.norm())
    rest = _without(direction.double(), basis)
    return rest.float() if rest.norm() > PARALLEL * direction.norm() else 0.0 * direction


def _without(vector: torch.Tensor, basis: Sequence[torch.Tensor]) -> torch.Tensor:
    """A vector without its components along an orthonormal basis; twice, for the rounding."""
    for _ in range(2):
        for one in basis:
            vector = vector - (vector @ one) * one
    return vector
