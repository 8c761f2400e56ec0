"""Steering specification: one declarative schema for Python, JSON files, sidecars and HTTP."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from tonearm.errors import TonearmError
from tonearm.files.text_file import read_json
from tonearm.schema import Declared, validated
from tonearm.steering.calibration import Branch, Finite, Strategy
from tonearm.steering.monitoring import Monitoring
from tonearm.steering.operators import Operator, Scale
from tonearm.steering.schedule import Schedule
from tonearm.steering.units import ABSOLUTE, UnitName
from tonearm.steering.vector_file import SUFFIX

Positions = Literal["generated", "audio", "all"]
Combine = Literal["none", "sqrt", "mean", "orthogonal"]
MAX_STRENGTH = 1000.0
MAX_AMOUNT = 10.0
MAX_LEVEL = 1000.0
OF_OWN_LAYER: tuple[Operator, ...] = ("set", "feature")  # act where their direction was measured
# fields of a steer that a calibration sets
CALIBRATED = (
    "operator",
    "scale",
    "strategy",
    "source_layer",
    "layers",
    "branch",
    "positions",
    "low",
    "high",
    "level",
    "level_schedule",
    "gate",
)
MAX_STEERS = 256  # of one take; each is a tensor per layer


class Steer(Declared):
    """One vector with one target, one amount, or one strength.

    target        in a physical unit, such as 3 semitones of spectral centroid: an amount by the
                  table of the vector's calibration (tonearm/steering/targets.py).
                  A schedule is of that amount, with factors from -1 to 1.
    unit          of the target; default: the relative unit of the vector's measure.
    amount        calibrated, per vector and sign: ±1 is the largest strength within the
                  damage limits. The calibration gives strength, operator, scale, strategy, layers
                  and branch; without a schedule of the steer, its ramp too.
    strength      the raw factor of the papers: λ for add, α for blend; 1 where neither is given.
    strategy      one-to-all: the direction of `source_layer` at every target layer (default,
                  Facchiano et al. 2025, 3.3); all-to-all: at each target layer its own direction;
                  one-to-one: only at `source_layer`.
    source_layer  0-based; default: the vector's best layer.
    layers        target layers, 0-based; default: all (not with one-to-one).
    branch        guidance branch that is steered.
    positions     generated: new frames; audio: the audio prompt too; all: the text prefix too
                  (prefix checkpoints).
    low, high     for clamp: bounds of the projection on the unit direction.
    level         for set: target of the projection on the unit direction, in standard deviations
                  from its mean over generated frames (`VectorInfo.frame_scales`); the strength is
                  the share of the way to it, 0 to 1. For feature: value that the feature is set to,
                  in peaks; without a level it is scaled by 1 + strength.
    level_schedule  factor of the level over time, as `schedule` is of the strength.
    gate          probability with which the steer acts, at each frame and layer by itself, drawn by
                  the seed of the take (MusicRFM: 0.3).
    monitor       the vector's own monitor decides when the steer acts (SMITIN,
                  tonearm/steering/monitoring.py); True for the default settings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    vector: str = Field(min_length=1)
    target: Finite | None = None
    unit: UnitName | None = None
    amount: Finite | None = None
    strength: Finite | None = None
    operator: Operator = "add"
    scale: Scale = "unit"
    strategy: Strategy = "one-to-all"
    source_layer: int | None = Field(default=None, ge=0)
    layers: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    branch: Branch = "both"
    positions: Positions = "generated"
    schedule: Schedule | None = None
    low: Finite | None = None
    high: Finite | None = None
    level: Finite | None = None
    level_schedule: Schedule | None = None
    gate: float = Field(default=1.0, gt=0, le=1)
    monitor: Monitoring | None = None

    @field_validator("monitor", mode="before")
    @classmethod
    def _default_monitoring(cls, value: Any) -> Any:
        if isinstance(value, bool):
            return Monitoring() if value else None
        return value

    @model_validator(mode="before")
    @classmethod
    def _with_strength(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and not fields.keys() & {"target", "amount", "strength"}:
            return fields | {"strength": 1.0}
        return fields

    @model_validator(mode="after")
    def _consistent(self) -> "Steer":
        if [self.target, self.amount, self.strength].count(None) != 2:
            raise ValueError(
                "give a target (in a physical unit), an amount (calibrated; ±1 is the "
                "largest strength within the damage limits) or a strength (the raw factor of the "
                "papers), and one alone"
            )
        if self.unit is not None and self.target is None:
            raise ValueError(f"unit {self.unit} belongs to a target; omit it")
        if self.target is not None:
            return self._consistent_target()
        if self.monitor and self.positions != "generated":
            raise ValueError(
                f"monitor reads generated frames, and positions is {self.positions}; omit positions"
            )
        if self.amount is not None:
            return self._consistent_amount()
        self._check_strength()
        if self.operator == "clamp":
            if self.low is None and self.high is None:
                raise ValueError("clamp needs low, high, or both")
            if self.low is not None and self.high is not None and self.low > self.high:
                raise ValueError(f"clamp has low {self.low:g} above high {self.high:g}")
        elif self.low is not None or self.high is not None:
            raise ValueError(f"low and high belong to operator clamp, not to {self.operator}")
        self._check_level()
        if self.scale != "unit" and self.operator != "blend":
            raise ValueError(f"scale belongs to operator blend, not to {self.operator}")
        if self.strategy == "one-to-one" and self.layers is not None:
            raise ValueError("one-to-one steers only at its source_layer; omit layers")
        if self.strategy == "all-to-all" and self.source_layer is not None:
            raise ValueError("all-to-all uses each layer's own direction; omit source_layer")
        if self.layers is not None and not self.layers:
            raise ValueError("layers is empty; omit it to steer all layers")
        return self

    def _check_strength(self) -> None:
        strengths = _values(self.raw_strength, self.schedule)
        strongest = max(strengths, key=abs)
        if self.level is not None and not 0 <= min(strengths) <= max(strengths) <= 1:
            wrong = min(strengths) if min(strengths) < 0 else strongest
            raise ValueError(
                f"strength {wrong:g} is not possible for {self.operator}; use 0 to 1, the share of "
                "the way to the level"
            )
        if self.operator == "feature" and min(strengths) < -1:
            raise ValueError(
                f"strength {min(strengths):g} is below -1 of feature, which silences it; use -1 or "
                "more"
            )
        if self.operator == "slerp" and abs(strongest) > 1:
            raise ValueError(
                f"strength {strongest:g} is beyond ±1 of slerp, a share of the angle to the "
                "direction: at 1 the activation points along it"
            )
        if abs(strongest) > MAX_STRENGTH:
            raise ValueError(
                f"strength {strongest:g} is beyond ±{MAX_STRENGTH:g}; "
                "useful values are within about ±3"
            )

    def _check_level(self) -> None:
        if self.operator not in OF_OWN_LAYER:
            if self.level is not None or self.level_schedule is not None:
                raise ValueError(f"level belongs to set and feature, not to {self.operator}")
            return
        if self.strategy == "one-to-all":
            raise ValueError(
                f"{self.operator} needs strategy all-to-all or one-to-one, since its scales are "
                "those of a direction at its own layer"
            )
        if self.level is None:
            if self.operator == "feature" and self.level_schedule is None:
                return
            raise ValueError(
                f"{self.operator} needs level: standard deviations of the projection from its mean "
                "over generated frames, such as 2 (set), or peaks (feature)"
            )
        highest = max(_values(self.level, self.level_schedule), key=abs)
        if abs(highest) > MAX_LEVEL:
            raise ValueError(f"level {highest:g} is beyond ±{MAX_LEVEL:g}")

    def _consistent_target(self) -> "Steer":
        largest = max(_values(1.0, self.schedule), key=abs)
        if abs(largest) > 1:
            raise ValueError(
                f"the schedule of a target has the factor {largest:g}, which would be beyond the "
                "target; use -1 to 1"
            )
        return self._calibrated("a target")

    def _consistent_amount(self) -> "Steer":
        assert self.amount is not None
        largest = max(_values(self.amount, self.schedule), key=abs)
        if abs(largest) > MAX_AMOUNT:
            raise ValueError(
                f"amount {largest:g} is beyond ±{MAX_AMOUNT:g}; the damage limits hold within ±1"
            )
        return self._calibrated("an amount")

    def _calibrated(self, given: str) -> "Steer":
        for name in CALIBRATED:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"{name} comes from the calibration where {given} is given; "
                    f"omit {name}, or give a strength"
                )
        return self

    @property
    def raw_strength(self) -> float:
        """The strength. Raises TonearmError where the steer has an amount."""
        if self.strength is None:
            given = "an amount" if self.target is None else "a target"
            raise TonearmError(
                f"steer {self.vector} has {given}, not a strength; "
                "tonearm.steering.with_strengths gives its strength"
            )
        return self.strength

    @property
    def is_calibrated(self) -> bool:
        """Whether the strength comes from the calibration of the vector."""
        return self.strength is None

    def __str__(self) -> str:
        if self.target is not None:
            sign = "" if self.unit in ABSOLUTE else "+"
            return f"{self.vector} {self.target:{sign}g} {self.unit or ''}".rstrip()
        if self.amount is not None:
            return f"{self.vector} {self.amount:+g}"
        strength = _range(self.raw_strength, self.schedule)
        if self.level is not None:
            share = "" if strength == "+1" else f" by {strength.removeprefix('+')}"
            return f"{self.vector} level {_range(self.level, self.level_schedule)}{share}"
        return f"{self.vector} raw {strength}"


def _values(value: float, schedule: Schedule | None) -> list[float]:
    """`value` at every breakpoint of a schedule; between two, it is between theirs."""
    factors = [factor for _, factor in schedule.points] if schedule else [1.0]
    return [value * factor for factor in factors]


def _range(value: float, schedule: Schedule | None) -> str:
    """`+1`, or `0 to +1` of a value that changes."""
    values = _values(value, schedule)
    if min(values) == max(values):
        return f"{values[0]:+g}"
    return " to ".join(f"{end:+g}" if end else "0" for end in (min(values), max(values)))


class Steering(Declared):
    """Steers in the order in which they are applied.

    `combine` is the rule for several of them (tonearm/steering/combination.py): none; sqrt and mean
    divide the strengths by sqrt(n) and by n; orthogonal keeps of each direction what is orthogonal
    to the earlier ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steers: tuple[Steer, ...] = Field(default=(), max_length=MAX_STEERS)
    combine: Combine = "none"

    def __bool__(self) -> bool:
        return bool(self.steers)

    def __str__(self) -> str:
        rule = f" ({self.combine})" if self.combine != "none" and len(self.steers) > 1 else ""
        return f"{', '.join(map(str, self.steers))}{rule}" if self.steers else "plain"

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Steering":
        """Read `{"steers": [...]}`, a bare list of steers, or the sidecar of a take.

        Vectors that a sidecar names by a file are those beside it.

        Raises:
            TonearmError: the file is absent, too large, not JSON, or not a steering specification.
        """
        content = read_json(path, "steering file", "give JSON as in docs/steering.md")
        if isinstance(content, list):
            content = {"steers": content}
        elif isinstance(content, dict) and content.get("kind") == "tonearm take":
            steering: Steering = validated(cls, content.get("steering"), where=str(path))
            return steering._with_files_beside(Path(path), content.get("vectors"))
        return validated(cls, content, where=str(path))  # type: ignore[no-any-return]

    def _with_files_beside(self, sidecar: Path, records: Any) -> "Steering":
        """Name the files beside a sidecar for vectors that it names by a file."""
        steers = []
        for steer in self.steers:
            match records:
                case {steer.vector: {"file": str(file)}} if steer.vector.endswith(SUFFIX):
                    steer = steer.model_copy(update={"vector": str(sidecar.parent / file)})
            steers.append(steer)
        return self.model_copy(update={"steers": tuple(steers)})
