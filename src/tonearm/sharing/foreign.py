"""Directions of another program's file, before they belong to a checkpoint.

Numbers of layers are those of the file. `Numbering` is their convention:

stated    direction N is that of layer N, counted from 0
earlier   direction N is that of layer N - 1: the file counts its inputs
unstated  the file does not state whether it counts layers from 0 or from 1
rows      a matrix with one row per layer
single    one direction without a number
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import torch

from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.steering.vector import MAX_LAYERS, MAX_WIDTH

Numbering = Literal["stated", "earlier", "unstated", "rows", "single"]
EXPORT_AGAIN = "export it again from where it was made"
T = TypeVar("T")


@dataclass(frozen=True)
class Foreign:
    """A file of directions.

    kind        of the file, for people: "GLP file"
    directions  number in the file -> float32 [D], all of one width; 0 where there is one alone
    numbering   convention of the numbers
    site        None where the file states none
    projecting  the directions are to be removed, not added
    alpha       strength that the file recommends
    fields      name, method, positive_label, negative_label, best_layer, checkpoint, fingerprint,
                family (of the architecture) and layer_count, as far as the file states them
    facts       further facts by name, for people
    warning     for those who use the directions; empty where there is none
    """

    kind: str
    directions: Mapping[int, torch.Tensor]
    numbering: Numbering
    site: Site | None = None
    projecting: bool = False
    alpha: float | None = None
    fields: Mapping[str, str | int] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    warning: str = ""

    @property
    def width(self) -> int:
        return len(next(iter(self.directions.values())))


def checked_directions(path: Path, given: Mapping[int, torch.Tensor]) -> dict[int, torch.Tensor]:
    """Directions as float32 in the order of their numbers.

    Args:
        path: of the file, for messages.
        given: floating-point tensors, by number.

    Raises:
        TonearmError: none, too many, another shape than [D], different widths, NaN or infinities.
    """
    if not 1 <= len(given) <= MAX_LAYERS:
        raise TonearmError(
            f"{path} holds {len(given)} directions; give a file with 1 to {MAX_LAYERS}"
        )
    found: dict[int, torch.Tensor] = {}
    for number, direction in sorted(given.items()):
        if direction.ndim != 1 or not 1 <= len(direction) <= MAX_WIDTH:
            raise TonearmError(
                f"direction {number} of {path} has the shape {list(direction.shape)}; "
                f"give one of 1 to {MAX_WIDTH} numbers"
            )
        narrow = direction.to(torch.float32)
        if not torch.isfinite(narrow).all():
            raise TonearmError(
                f"direction {number} of {path} holds NaN, or values that are infinite as float32; "
                f"{EXPORT_AGAIN}"
            )
        found[number] = narrow.contiguous()
    widths = sorted({len(direction) for direction in found.values()})
    if len(widths) > 1:
        raise TonearmError(
            f"{path} holds directions of different widths ({widths[0]} and {widths[1]}); "
            f"{EXPORT_AGAIN}"
        )
    return found


def field_of(
    path: Path, fields: Mapping[str, object], key: str, check: Callable[[object, str], T]
) -> T | None:
    """A field of a file's metadata, checked; None where it is absent."""
    if key not in fields:
        return None
    return check(fields[key], f"{shortened(key)} of {path}")
