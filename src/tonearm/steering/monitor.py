"""Monitor of a steering vector: probes that read its attribute from attention heads while music is
generated.

    p_m = sigmoid(z_m . w_m + b_m)

z_m is the output of a head before the output projection, as it is: scales of the fit are in w_m and
b_m. p_m is the probability of the attribute; that of a negated monitor is 1 - p_m.

Conventions: both classes have the same prior. The threshold τ is from 0 to 1, as p_m.

Shapes: n batch rows; M heads; d outputs of a head; [...] any batch.

Source: Koo et al. 2025 (SMITIN).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tonearm import boundary
from tonearm.errors import TonearmError

# Name and type of the tensors of a monitor in a vector file, in the order of its content hash.
TENSORS = {
    "layers": torch.int64,
    "heads": torch.int64,
    "weights": torch.float32,
    "biases": torch.float32,
    "threshold": torch.float64,
}


@dataclass(frozen=True, eq=False)
class Monitor:
    """Logistic probes of single attention heads.

    layers     of the heads, 0-based, int64 [M]
    heads      index within the layer, int64 [M]
    weights    float32 [M, d]
    biases     float32 [M]
    threshold  τ, above which the attribute counts as present
    """

    layers: torch.Tensor
    heads: torch.Tensor
    weights: torch.Tensor
    biases: torch.Tensor
    threshold: float

    def __post_init__(self) -> None:
        count = len(self.weights)
        shapes = tuple(self.layers.shape), tuple(self.heads.shape), tuple(self.biases.shape)
        if self.weights.ndim != 2 or not self.weights.numel() or set(shapes) != {(count,)}:
            raise TonearmError(
                f"a monitor has weights {list(self.weights.shape)} with layers, heads and biases "
                f"{shapes}; give [M, d] and three times [M], with M and d of 1 or more"
            )
        if not (self.weights.isfinite().all() and self.biases.isfinite().all()):
            raise TonearmError("a monitor holds NaN or infinite values; learn the vector again")
        if min(int(self.layers.min()), int(self.heads.min())) < 0:
            raise TonearmError("a monitor names a negative layer or head; learn the vector again")
        threshold = boundary.number(self.threshold, "threshold")
        if not 0 <= threshold <= 1:
            raise TonearmError(
                f"the threshold of a monitor is {threshold:g}; use 0 to 1, a probability"
            )

    def __len__(self) -> int:
        return len(self.weights)

    def __neg__(self) -> "Monitor":
        """The monitor of the opposite attribute, whose probabilities are 1 - p."""
        return Monitor(self.layers, self.heads, -self.weights, -self.biases, self.threshold)

    def check(self, layer_count: int, width: int) -> None:
        """Raise TonearmError unless the heads are those of blocks of this number and width."""
        size = self.weights.shape[1]
        if width % size or int(self.heads.max()) >= width // size:
            raise TonearmError(
                f"its monitor reads head {int(self.heads.max())} of {size} outputs, which a width "
                f"of {width} does not have; learn it again"
            )
        if int(self.layers.max()) >= layer_count:
            raise TonearmError(
                f"its monitor reads layer {int(self.layers.max())}, which is outside "
                f"0..{layer_count - 1}; learn it again"
            )

    def tensors(self) -> dict[str, torch.Tensor]:
        """All fields as tensors, in the order and of the types of TENSORS."""
        fields = {name: torch.as_tensor(getattr(self, name)) for name in TENSORS}
        return {name: fields[name].to("cpu", dtype) for name, dtype in TENSORS.items()}

    @classmethod
    def of_tensors(cls, tensors: dict[str, torch.Tensor]) -> "Monitor":
        """Make a monitor of `tensors()`. Raises TonearmError for other names, types or shapes."""
        if tensors.keys() != TENSORS.keys():
            raise TonearmError(
                f"its monitor has the tensors {', '.join(sorted(tensors))}, not "
                f"{', '.join(TENSORS)}; learn it again"
            )
        for name, dtype in TENSORS.items():
            if tensors[name].dtype != dtype:
                raise TonearmError(
                    f"monitor.{name} is of type {tensors[name].dtype}, not {dtype}; learn it again"
                )
        fields: dict[str, Any] = {**tensors}
        if fields["threshold"].numel() != 1:
            raise TonearmError("its monitor has several thresholds; learn it again")
        return cls(**fields | {"threshold": float(fields["threshold"])})

    def probabilities(self, outputs: torch.Tensor) -> torch.Tensor:
        """Probability of the attribute by each head.

        Args:
            outputs: of its heads, [..., M, d].

        Returns:
            float32 [..., M].
        """
        return probabilities(outputs, self.weights, self.biases)


@dataclass(frozen=True)
class RowMonitors:
    """Monitors of n batch rows, with equal numbers of heads.

    layers      int64 [n, M]
    heads       int64 [n, M]
    weights     float32 [n, M, d]
    biases      float32 [n, M]
    thresholds  float32 [n]
    """

    layers: torch.Tensor
    heads: torch.Tensor
    weights: torch.Tensor
    biases: torch.Tensor
    thresholds: torch.Tensor

    @classmethod
    def of(cls, monitors: Sequence[Monitor], device: torch.device) -> "RowMonitors":
        """Stack the monitors of n rows."""
        return cls(
            layers=torch.stack([one.layers for one in monitors]).to(device),
            heads=torch.stack([one.heads for one in monitors]).to(device),
            weights=torch.stack([one.weights for one in monitors]).to(device),
            biases=torch.stack([one.biases for one in monitors]).to(device),
            thresholds=torch.tensor([one.threshold for one in monitors], device=device),
        )

    @property
    def all_layers(self) -> list[int]:
        """Layers of which any row monitors a head, in order."""
        return sorted(set(self.layers.flatten().tolist()))


def probabilities(
    outputs: torch.Tensor, weights: torch.Tensor, biases: torch.Tensor
) -> torch.Tensor:
    """Probabilities of logistic probes, float32 [..., M].

    Args:
        outputs: of heads, [..., M, d].
        weights: [..., M, d].
        biases: [..., M].
    """
    return torch.sigmoid((outputs.float() * weights).sum(-1) + biases)
