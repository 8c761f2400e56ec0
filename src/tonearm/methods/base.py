"""Method protocol and registry: activations of two sets -> one direction per layer.

A method declares its input: running moments, whose memory does not grow with the number of
examples, or all rows.

Shapes: n rows; L layers; D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import torch

from tonearm.activations.moments import RunningMoments
from tonearm.errors import TonearmError

Needs = Literal["moments", "rows"]


class Rows(Protocol):
    """Rows float32 [n, L, D] in memory (a tensor) or on disk, from which `rows[:, layer]` is read."""

    @property
    def shape(self) -> Sequence[int]: ...

    def __getitem__(self, place: tuple[slice, int], /) -> torch.Tensor: ...


@dataclass(frozen=True)
class Activations:
    """Activations of a positive and a negative set.

    positive, negative  running moments of [L, D] rows
    rows                float32 [n, L, D], if the method needs rows; take them layer by layer, since
                        those of a store are on disk
    labels              int64 [n], 1 for the positive set, 0 for the negative one
    groups              int64 [n], index of each row's prompt or track; no split divides a group
    """

    positive: RunningMoments
    negative: RunningMoments
    rows: Rows | None = None
    labels: torch.Tensor | None = None
    groups: torch.Tensor | None = None

    @property
    def mean_norms(self) -> torch.Tensor:
        """Mean length of the rows of both sets per layer, float64 [L]."""
        total = self.positive.count + self.negative.count
        weighted = self.positive.mean_norm * self.positive.count
        return (weighted + self.negative.mean_norm * self.negative.count) / total


@dataclass(frozen=True)
class Fit:
    """Result of a method.

    directions  float32 [L, D], raw: their length is meaningful
    best_layer  0-based; None if the method does not rank layers
    scores      per-layer values [L] by name
    extra       anything else worth keeping
    """

    directions: torch.Tensor
    best_layer: int | None = None
    scores: Mapping[str, torch.Tensor] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


class Method(Protocol):
    """Fits a direction per layer."""

    name: ClassVar[str]
    needs: ClassVar[Needs]

    def fit(self, activations: Activations) -> Fit:
        """Fit directions. Raises TonearmError if there is none."""
        ...


_METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Add a method to the registry. Raises ValueError for a name that is taken."""
    if method.name in _METHODS:
        raise ValueError(f"a method named {method.name!r} is registered already")
    _METHODS[method.name] = method
    return method


def methods() -> tuple[str, ...]:
    """Names of the registered methods."""
    return tuple(_METHODS)


def method_named(name: str) -> Method:
    """The registered method. Raises TonearmError for an unknown name."""
    if name not in _METHODS:
        raise TonearmError(f"method {name!r} is not known; use one of {', '.join(_METHODS)}")
    return _METHODS[name]
