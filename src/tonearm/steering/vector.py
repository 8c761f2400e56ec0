"""Steering vector: one direction per layer at one site, with provenance."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, model_validator

from tonearm import boundary
from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.schema import Declared
from tonearm.steering.calibration import Calibration
from tonearm.steering.frame_scales import FrameScales
from tonearm.steering.monitor import Monitor
from tonearm.steering.reader import check_reader

# 2 adds the calibration, 3 the source and the statistics, 4 the projections, 5 the operator, the
# unit of strengths, the hash of the tensors, the frame scales, the monitor with the scores of heads,
# the readers, and the tables of a knob
FORMAT_VERSION = 5
ALPHA = "alpha_default"  # statistic: strength that the file of an imported vector recommends
MAX_LAYERS, MAX_WIDTH = 1024, 65_536  # of any checkpoint
# fields of a vector whose directions are not those that were learned
NO_PROJECTIONS: Mapping[str, Any] = {
    "positive_projections": {},
    "negative_projections": {},
    "frame_scales": None,
}


Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
Layer = Annotated[int, Field(ge=0, lt=MAX_LAYERS)]


class VectorInfo(Declared):
    """Provenance of a vector.

    `source` says of which data its activations are; those of audio are of segments of
    `segment_seconds`, read with `text`, or without one where it is empty; the counts are of prompts
    or segments, and `data_hash` is over them, or over the file of another program. `scores` are per-layer values by name, such as
    `separation`; `statistics` are values of the whole fit, such as `p_value`; `best_layer` is
    0-based; `calibration` gives amounts a meaning. `head_scores` are values of single attention
    heads by name and layer, of methods that fit heads.

    `strength_unit` is that of a strength of `add`: raw, a factor of the directions as they are
    stored. `operator` is the only one that the directions are for, where the file that they were
    imported from states it.

    The scales of the activations that the vector was learned from, per layer: `activation_norms` is
    the mean of |h|; `positive_projections` and `negative_projections` are the means of h·r over
    either set, with r the unit direction of the layer. `frame_scales` are those of generated frames.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    checkpoint: str
    fingerprint: str
    width: int = Field(ge=1, le=MAX_WIDTH)
    layer_count: int = Field(ge=1, le=MAX_LAYERS)
    site: Site = "residual"
    method: str = "diffmean"
    pooling: str = "eos"
    positive_label: str = "more"
    negative_label: str = "less"
    positive_count: Count = 0
    negative_count: Count = 0
    source: Literal["prompts", "audio", "file"] = "prompts"
    segment_seconds: float | None = Field(default=None, gt=0)
    text: str = ""
    data_hash: str = ""
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1)
    best_layer: Layer | None = None
    activation_norms: dict[Layer, float] = Field(default={})
    positive_projections: dict[Layer, float] = Field(default={})
    negative_projections: dict[Layer, float] = Field(default={})
    scores: dict[str, dict[Layer, float]] = Field(default={})
    head_scores: dict[str, dict[Layer, tuple[float, ...]]] = Field(default={})
    statistics: dict[str, float] = Field(default={})
    library_version: str = ""
    strength_unit: Literal["raw"] = "raw"
    operator: Literal["remove"] | None = None
    calibration: Calibration | None = None
    frame_scales: FrameScales | None = None

    @model_validator(mode="after")
    def _within(self) -> "VectorInfo":
        by_layer: dict[str, Mapping[int, Any]] = {
            "activation_norms": self.activation_norms,
            "positive_projections": self.positive_projections,
            "negative_projections": self.negative_projections,
        }
        by_layer |= {f"scores.{name}": values for name, values in self.scores.items()}
        by_layer |= {f"head_scores.{name}": values for name, values in self.head_scores.items()}
        best = [] if self.best_layer is None else [self.best_layer]
        layers: dict[str, Iterable[int]] = {"best_layer": best, **by_layer}
        layers["calibration"] = _calibrated_layers(self.calibration)
        layers["frame_scales"] = self.frame_scales.means if self.frame_scales else []
        for name, named in layers.items():
            for layer in named:
                if layer >= self.layer_count:
                    raise ValueError(
                        f"{name} names layer {layer}, which is outside 0..{self.layer_count - 1}"
                    )
        return self


def _calibrated_layers(calibration: Calibration | None) -> list[int]:
    """The layers that a calibration names."""
    if calibration is None:
        return []
    found: list[int] = []
    for sign in (calibration.positive, calibration.negative):
        source = sign.configuration.source_layer
        found += [*(sign.configuration.layers or ()), *([] if source is None else [source])]
    return found


@dataclass(frozen=True, eq=False)
class SteeringVector:
    """Directions per layer (0-based), float32 [D], raw: their length is meaningful.

    `monitor` reads the attribute while music is generated; vectors of methods that fit attention
    heads have one. A vector that is a feature of a sparse autoencoder has a reader of it at its
    layers (tonearm/steering/reader.py), float32 [D + 2], for the operator feature.

    Algebra: `+`, `-`, `* number`, negation; its results read no feature.
    """

    directions: Mapping[int, torch.Tensor]
    info: VectorInfo
    monitor: Monitor | None = None
    readers: Mapping[int, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        boundary.instance(self.info, "info", VectorInfo, "a VectorInfo")
        if not isinstance(self.directions, Mapping):
            raise boundary.refusal(self.directions, "directions", "a mapping of layers to tensors")
        given = {boundary.integer(layer, "layer"): one for layer, one in self.directions.items()}
        checked = {}
        for layer, direction in sorted(given.items()):
            direction = _as_direction(direction, layer)
            if direction.shape != (self.info.width,):
                raise TonearmError(
                    f"vector {self.name}: layer {layer} has shape {tuple(direction.shape)}, not ({self.info.width},); make it again"
                )
            if not torch.isfinite(direction).all():
                raise TonearmError(
                    f"vector {self.name}: layer {layer} holds NaN or infinite values; make it again"
                )
            if not 0 <= layer < self.info.layer_count:
                raise TonearmError(
                    f"vector {self.name}: layer {layer} is outside 0..{self.info.layer_count - 1}; make it again"
                )
            checked[layer] = direction
        if not checked:
            raise TonearmError(f"vector {self.name} has no layers; make it again")
        object.__setattr__(self, "directions", checked)
        if not isinstance(self.readers, Mapping):
            raise boundary.refusal(self.readers, "readers", "a mapping of layers to tensors")
        for layer in self.readers:
            if boundary.integer(layer, "layer") not in checked:
                raise TonearmError(
                    f"vector {self.name} has a reader of layer {layer} and no direction "
                    "there; make it again"
                )
        readers = {
            layer: check_reader(one, self.info.width, f"vector {self.name}: layer {layer}")
            for layer, one in sorted(self.readers.items())
        }
        object.__setattr__(self, "readers", readers)
        if self.monitor is not None:
            self._check_monitor(self.monitor)

    def _check_monitor(self, monitor: object) -> None:
        boundary.instance(monitor, "monitor", Monitor, "a Monitor")
        assert isinstance(monitor, Monitor)
        if self.info.site != "heads":
            raise TonearmError(
                f"vector {self.name} of site {self.info.site} has a monitor, which reads site "
                "heads; learn it again"
            )
        try:
            monitor.check(self.info.layer_count, self.info.width)
        except TonearmError as error:
            raise TonearmError(f"vector {self.name}: {error}") from None

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def layers(self) -> tuple[int, ...]:
        return tuple(self.directions)

    def __getitem__(self, layer: int) -> torch.Tensor:
        try:
            return self.directions[layer]
        except KeyError:
            raise TonearmError(
                f"vector {self.name} has no direction for layer {layer}; it has layers {_span(self.layers)}"
            ) from None

    def reader(self, layer: int) -> torch.Tensor:
        """The reader of a layer. Raises TonearmError where the vector has none."""
        if boundary.integer(layer, "layer") not in self.readers:
            raise TonearmError(
                f"vector {self.name} reads no feature at layer {layer}, as operator feature needs; "
                "give one of `tonearm sae vector`, or another operator"
            )
        return self.readers[layer]

    def norms(self) -> dict[int, float]:
        return {layer: float(direction.norm()) for layer, direction in self.directions.items()}

    def cosine(self, other: "SteeringVector", layer: int) -> float:
        boundary.instance(other, "other", SteeringVector, "a SteeringVector")
        layer = boundary.integer(layer, "layer")
        return float(torch.nn.functional.cosine_similarity(self[layer], other[layer], dim=0))

    def content_hash(self) -> str:
        """sha256 (hexadecimal) of directions, monitor, readers, fingerprint, site and sizes; not of
        name or scores.
        """
        digest = hashlib.sha256()
        identity = (self.info.fingerprint, self.info.site, self.info.width, self.info.layer_count)
        digest.update(json.dumps(identity).encode())
        for layer, direction in self.directions.items():
            digest.update(str(layer).encode() + direction.numpy().astype("<f4").tobytes())
        for name, tensor in (self.monitor.tensors() if self.monitor else {}).items():
            value = tensor.numpy()
            digest.update(f"{name} {list(value.shape)}".encode())
            digest.update(value.astype(value.dtype.newbyteorder("<")).tobytes())
        for layer, reader in self.readers.items():
            digest.update(f"reader {layer}".encode() + reader.numpy().astype("<f4").tobytes())
        return digest.hexdigest()

    def tensor_sha256(self) -> str:
        """sha256 (hexadecimal) of the bytes of the directions alone, in the order of their layers.

        It is the `glp.content_sha256` of a GGUF file with the same directions.
        """
        digest = hashlib.sha256()
        for direction in self.directions.values():
            digest.update(direction.numpy().astype("<f4").tobytes())
        return digest.hexdigest()

    def steers_like(self, other: "SteeringVector") -> bool:
        """Whether it has the directions of another vector, and its frame scales."""
        boundary.instance(other, "other", SteeringVector, "a SteeringVector")
        scales = self.info.frame_scales, other.info.frame_scales
        return self.content_hash() == other.content_hash() and scales[0] == scales[1]

    def with_frame_scales(self, scales: FrameScales) -> "SteeringVector":
        update = {"frame_scales": boundary.instance(scales, "scales", FrameScales, "FrameScales")}
        return replace(self, info=self.info.model_copy(update=update))

    def renamed(self, name: str) -> "SteeringVector":
        update = {"name": boundary.text(name, "name")}
        return replace(self, info=self.info.model_copy(update=update))

    def random_like(self, seed: int) -> "SteeringVector":
        """Random control: one random direction in every layer, with this vector's norm there. It
        keeps the monitor, which reads the attribute of this vector.
        """
        seed = boundary.seed(seed)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.info.width, generator=generator)
        noise /= noise.norm()
        update = {
            "name": f"random-{seed} like {self.name}",
            "method": "random",
            "seed": seed,
            "data_hash": "",
            "scores": {},
            "head_scores": {},
            "statistics": {},
            "calibration": None,
            **NO_PROJECTIONS,
        }
        return replace(
            self,
            directions={i: noise * d.norm() for i, d in self.directions.items()},
            info=self.info.model_copy(update=update),
            readers={},
        )

    def __add__(self, other: "SteeringVector") -> "SteeringVector":
        return self._joined(other, +1, "+")

    def __sub__(self, other: "SteeringVector") -> "SteeringVector":
        return self._joined(other, -1, "-")

    def __mul__(self, factor: float) -> "SteeringVector":
        statistics = {name: one for name, one in self.info.statistics.items() if name != ALPHA}
        update: dict[str, Any] = {
            "name": f"{factor:g} * {self.name}",
            "calibration": None,
            "statistics": statistics,
        }
        if factor < 0:
            update |= {
                "positive_label": self.info.negative_label,
                "negative_label": self.info.positive_label,
                "positive_count": self.info.negative_count,
                "negative_count": self.info.positive_count,
                "positive_projections": _negated(self.info.negative_projections),
                "negative_projections": _negated(self.info.positive_projections),
                "frame_scales": self.info.frame_scales and -self.info.frame_scales,
            }
        elif not factor:
            update |= NO_PROJECTIONS
        return replace(
            self,
            directions={i: factor * d for i, d in self.directions.items()},
            info=self.info.model_copy(update=update),
            monitor=-self.monitor if self.monitor and factor < 0 else self.monitor,
            readers={},
        )

    __rmul__ = __mul__

    def __neg__(self) -> "SteeringVector":
        return (self * -1.0).renamed(f"-{self.name}")

    def _joined(self, other: "SteeringVector", sign: int, symbol: str) -> "SteeringVector":
        for key in ("fingerprint", "site", "width"):
            ours, theirs = getattr(self.info, key), getattr(other.info, key)
            if ours != theirs:
                raise TonearmError(
                    f"cannot join vectors {self.name} and {other.name}: their {key} differs ({ours} and {theirs})"
                )
        if operator := self.info.operator or other.info.operator:
            raise TonearmError(
                f"cannot join vectors {self.name} and {other.name}: removing two directions is not "
                f"removing their sum; steer by both, with operator {operator}"
            )
        if self.layers != other.layers:
            raise TonearmError(
                f"cannot join vectors {self.name} and {other.name}: layers {_span(self.layers)} and {_span(other.layers)} differ"
            )
        update: dict[str, Any] = {
            "name": f"({self.name} {symbol} {other.name})",
            "method": f"{self.info.method} {symbol} {other.info.method}",
            "positive_count": 0,
            "negative_count": 0,
            "data_hash": "",
            "seed": None,
            "scores": {},
            "head_scores": {},
            "statistics": {},
            "calibration": None,
            **NO_PROJECTIONS,
            "best_layer": self.info.best_layer
            if self.info.best_layer == other.info.best_layer
            else None,
        }
        return SteeringVector(
            {i: d + sign * other[i] for i, d in self.directions.items()},
            self.info.model_copy(update=update),
        )


def _as_direction(given: object, layer: int) -> torch.Tensor:
    """A direction as float32 on the CPU."""
    try:
        return torch.as_tensor(given).detach().to("cpu", torch.float32).contiguous()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise boundary.refusal(given, f"direction of layer {layer}", "a tensor [D]") from None


def _negated(values: Mapping[int, float]) -> dict[int, float]:
    return {layer: -value for layer, value in values.items()}


def _span(layers: tuple[int, ...]) -> str:
    contiguous = layers == tuple(range(layers[0], layers[-1] + 1))
    return f"{layers[0]}..{layers[-1]}" if contiguous else ", ".join(map(str, layers))
