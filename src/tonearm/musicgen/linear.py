"""Matrix products of the decoder, with the weight laid out for the machine.

A decode step multiplies few rows by every weight once, so its time is the time to read the weights. On CPU, oneDNN reads a weight that it has
packed beforehand up to four times as fast as a plain one, by machine (docs/performance.md). Where it cannot pack, the plain product serves.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

Linear = Callable[[torch.Tensor], torch.Tensor]  # [..., in] -> [..., out]
PACKED_DTYPES = (torch.float32, torch.bfloat16)


def pack(weight: torch.Tensor) -> Linear:
    """x -> x @ weight.T for a weight [out, in]."""
    weight = weight.detach().contiguous()
    if weight.device.type == "cpu" and weight.dtype in PACKED_DTYPES and _can_pack():
        packed = torch.ops.mkldnn._reorder_linear_weight(weight)
        product = torch.ops.mkldnn._linear_pointwise
        return lambda x: product(x, packed, None, "none", [], "")
    return lambda x: F.linear(x, weight)


def _can_pack() -> bool:
    """The packing operators are private to torch and may be absent."""
    operators = torch.ops.mkldnn
    return (
        torch.backends.mkldnn.is_available()
        and hasattr(operators, "_reorder_linear_weight")
        and hasattr(operators, "_linear_pointwise")
    )
