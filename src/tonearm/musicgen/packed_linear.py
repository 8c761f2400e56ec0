"""Matrix products of the decoder, with the weight packed for the machine.

A decode step multiplies few rows by every weight once, so its time is the time to read the weights.
On CPU, oneDNN reads a weight that it has packed beforehand up to four times as fast as a plain one,
by machine (docs/performance.md); a weight in bfloat16 is half as much to read, one in int8 a
quarter. Where oneDNN cannot pack, the plain product serves, but for int8, which has none.

On CPU the activations stay in float32 whatever the weights are: they are few, and rounding them
buys nothing. Elsewhere both have one dtype.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from tonearm.errors import TonearmError

Linear = Callable[[torch.Tensor], torch.Tensor]  # [..., in] -> [..., out]

INT8_STEPS = 127  # symmetric, so that 0 is exact
UINT8_ZERO = 128  # oneDNN's fast product takes unsigned activations and signed weights


def stream_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """The dtype of activations on `device`, for weights of `dtype`."""
    return torch.float32 if device.type == "cpu" else dtype


def pack(weight: torch.Tensor, int8: bool = False) -> Linear:
    """x -> x @ weight.T for a weight [out, in]; x and the product are in `stream_dtype`. Raises
    TonearmError where int8 cannot be.
    """
    weight = weight.detach().contiguous()
    if int8:
        return _int8(weight.float())
    if weight.device.type != "cpu":
        return lambda x: F.linear(x, weight)
    if weight.dtype == torch.bfloat16 and _can_pack():
        product = _packed(weight)
        return lambda x: product(x.bfloat16()).float()
    weight = weight.float()  # no CPU multiplies float16 faster
    return _packed(weight) if _can_pack() else lambda x: F.linear(x, weight)


def _packed(weight: torch.Tensor) -> Linear:
    packed = torch.ops.mkldnn._reorder_linear_weight(weight)
    product = torch.ops.mkldnn._linear_pointwise
    return lambda x: product(x, packed, None, "none", [], "")


def _int8(weight: torch.Tensor) -> Linear:
    """Weights int8 with a scale for each output, activations int8 with a scale for each row and
    position, found as they come.

    Sums are of whole numbers, so a row's product does not depend on the rest of the batch.
    """
    if not _can_quantise():
        raise TonearmError(
            "int8 needs a CPU and a torch with oneDNN's quantised product; use dtype float32 or bfloat16"
        )
    scale = weight.abs().amax(1).clamp_(min=1e-12) / INT8_STEPS
    packed = torch.ops.onednn.qlinear_prepack(
        (weight / scale[:, None]).round_().to(torch.int8), None
    )
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    product = torch.ops.onednn.qlinear_pointwise
    scale /= INT8_STEPS  # factor of the activations
    middle = torch.full(
        (1,), UINT8_ZERO + 0.5
    )  # half a step more, since the cast to integers rounds down

    def linear(x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        peak = rows.abs().amax(-1, keepdim=True).clamp_(min=1e-30)
        whole = torch.addcdiv(middle, rows, peak, value=INT8_STEPS).to(torch.uint8)
        y = product(
            whole,
            1.0,
            UINT8_ZERO,
            packed,
            scale,
            zeros,
            None,
            1.0,
            0,
            torch.float32,
            "none",
            [],
            "",
        )
        return y.mul_(peak).view(*x.shape[:-1], -1)

    return linear


def _can_pack() -> bool:
    return _has(torch.ops.mkldnn, "_reorder_linear_weight", "_linear_pointwise")


def _can_quantise() -> bool:
    return _has(torch.ops.onednn, "qlinear_prepack", "qlinear_pointwise")


def _has(operators: Any, *names: str) -> bool:
    """oneDNN's operators are private to torch and may be absent."""
    return torch.backends.mkldnn.is_available() and all(hasattr(operators, name) for name in names)
