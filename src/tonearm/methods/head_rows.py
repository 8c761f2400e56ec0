"""Activations of site heads, divided into those of single attention heads.

Shapes: n rows; L layers; H heads of a layer; d outputs of a head; D = H d.
"""

from collections.abc import Sequence

import torch

from tonearm.errors import TonearmError
from tonearm.methods.base import Activations, Rows


class HeadRows:
    """Rows [n, L * H, d]: `rows[:, l * H + h]` are those of head h of layer l.

    A layer is read once for all its heads, if they are taken in order.

    Args:
        rows: [n, L, D].
        heads: H.
    """

    def __init__(self, rows: Rows, heads: int):
        self.rows, self.heads = rows, heads
        self._layer: int | None = None
        self._outputs = torch.empty(0)

    @property
    def shape(self) -> Sequence[int]:
        n, layers, width = self.rows.shape
        return n, layers * self.heads, width // self.heads

    def __getitem__(self, place: tuple[slice, int], /) -> torch.Tensor:
        chosen, index = place
        layer, head = divmod(index, self.heads)
        if layer != self._layer:
            outputs = self.rows[:, layer]
            self._outputs, self._layer = outputs.view(len(outputs), self.heads, -1), layer
        return self._outputs[chosen, head]


def heads_of(activations: Activations, method: str) -> int:
    """Heads of a layer.

    Args:
        activations: of site heads.
        method: its name, for the message.

    Raises:
        TonearmError: activations of another site, or without the number of heads.
    """
    if activations.heads is None:
        raise TonearmError(
            f"method {method} fits the outputs of single attention heads; give activations of site "
            "heads with their number of heads (tonearm learn does)"
        )
    return activations.heads
