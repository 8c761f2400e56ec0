"""Checks of rows, labels and groups that come from users.

Shapes: n rows; L layers; D width.
"""

import numpy as np
import torch

from tonearm import boundary
from tonearm.errors import TonearmError


def check_rows(rows: object) -> torch.Tensor:
    """Return activations as float32 [n, L, D] on the CPU.

    Raises TonearmError for another shape, no rows, and values that are not finite.
    """
    try:
        found = torch.as_tensor(rows).detach().to("cpu", torch.float32)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise boundary.refusal(rows, "rows", "a tensor [n, layers, width]") from None
    if found.ndim != 3 or not found.numel():
        raise TonearmError(
            f"rows have shape {list(found.shape)}; give activations [n, layers, width]"
        )
    if not found.isfinite().all():
        raise TonearmError("rows hold NaN or infinite values; capture the activations again")
    return found


def check_names(values: object, name: str, rows: torch.Tensor) -> np.ndarray:
    """Return one name (a text or a whole number) per row, as texts [n].

    Args:
        values: a sequence.
        name: of the argument: labels or groups.
        rows: that they belong to, [n, L, D].
    """
    if isinstance(values, np.ndarray | torch.Tensor):
        values = values.tolist()
    items = boundary.sequence(
        values, name, _text, f"a text or a whole number for each of {len(rows)} rows"
    )
    if len(items) != len(rows):
        raise TonearmError(
            f"{name} has {len(items)} entries for {len(rows)} rows; give one for each row"
        )
    return np.array(items)


def check_numbers(values: object, name: str, rows: torch.Tensor) -> np.ndarray:
    """Return one finite number per row, float64 [n].

    Args:
        values: a sequence.
        name: of the argument.
        rows: that they belong to, [n, L, D].
    """
    found = boundary.array(values, name)
    if len(found) != len(rows):
        raise TonearmError(
            f"{name} has {len(found)} entries for {len(rows)} rows; give one for each row"
        )
    return found


def _text(value: object, name: str) -> str:
    return value if isinstance(value, str) else str(boundary.integer(value, name))
