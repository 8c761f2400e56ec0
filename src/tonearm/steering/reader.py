"""Reader of a feature: the value of a feature of a sparse autoencoder for an activation.

    z(h) = a where a > threshold, else 0,     a = relu(w . h + bias)

The threshold is fixed, so that the value does not depend on other rows of a batch. A reader is one
tensor [D + 2], the weights w followed by bias and threshold, so that captured steps read it from
one buffer; a reader of zeros reads 0.

Shapes: D width.
"""

import torch

from tonearm.errors import TonearmError


def packed_reader(weights: torch.Tensor, bias: float, threshold: float) -> torch.Tensor:
    """Pack a reader, float32 [D + 2].

    Args:
        weights: [D].
        bias: added to the product.
        threshold: 0 or more.
    """
    return torch.cat([weights.detach().float().cpu(), torch.tensor([bias, threshold])])


def read_feature(h: torch.Tensor, reader: torch.Tensor) -> torch.Tensor:
    """Value z [..., 1] of activations h [..., D] by readers [..., D + 2], in float32."""
    weights, bias, threshold = reader[..., :-2], reader[..., -2:-1], reader[..., -1:]
    value = torch.relu((h.float() * weights).sum(-1, keepdim=True) + bias)
    return torch.where(value > threshold, value, 0.0)


def check_reader(reader: object, width: int, where: str) -> torch.Tensor:
    """Return a reader, float32 [D + 2] on the CPU.

    Args:
        reader: as given.
        width: D.
        where: the vector and layer, for the message.

    Raises:
        TonearmError: no tensor of this size, values that are not finite, or a negative threshold.
    """
    found = reader if isinstance(reader, torch.Tensor) else torch.empty(0)
    is_sized = found.shape == (width + 2,)
    if not is_sized or not torch.isfinite(found).all() or found[-1] < 0:
        raise TonearmError(
            f"{where} has no reader of {width} weights, a bias and a threshold; make it again with "
            "`tonearm sae vector`"
        )
    return found.detach().to("cpu", torch.float32).contiguous()
