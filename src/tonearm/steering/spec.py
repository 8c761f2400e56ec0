"""Steering: the one declarative description of what to steer, the same in Python, in `--steering x.json` and in a sidecar."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tonearm.errors import TonearmError
from tonearm.steering.operators import Operator, Scale
from tonearm.steering.schedule import Schedule
from tonearm.steering.vector import SteeringVector

Strategy = Literal["one-to-all", "all-to-all", "one-to-one"]
Branch = Literal["both", "conditional", "unconditional"]
Positions = Literal["generated", "codes", "all"]
Finite = Annotated[float, Field(allow_inf_nan=False)]
MAX_STRENGTH = 1000.0


class Steer(BaseModel):
    """One vector, turned by one strength.

    strategy    one-to-all: the direction of `source_layer` into every target layer (the default, Facchiano et al. 3.3);
                all-to-all: each target layer its own; one-to-one: only at `source_layer`.
    source_layer  0-based; left out, the vector's best layer.
    layers      target layers, 0-based; left out, all of them (one-to-one takes none).
    branch      rows of classifier-free guidance that are steered.
    positions   generated: what the model adds; codes: the audio prompt too; all: the text prefix too (prefix checkpoints).
    low, high   for clamp: where the projection on the unit direction may lie.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    vector: str = Field(min_length=1)
    strength: Finite = 1.0
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

    @model_validator(mode="after")
    def _consistent(self) -> "Steer":
        if max(abs(strength) for strength in self._strengths()) > MAX_STRENGTH:
            raise ValueError(
                f"strength {self.strength:g} is beyond ±{MAX_STRENGTH:g}; useful values lie within about ±3"
            )
        if self.operator == "blend" and min(self._strengths()) <= -1:
            raise ValueError(
                f"blend divides by 1 + strength, so strength {self.strength:g} must stay above -1; negate the vector instead"
            )
        if self.operator == "clamp":
            if self.low is None and self.high is None:
                raise ValueError("clamp needs low, high, or both")
            if self.low is not None and self.high is not None and self.low > self.high:
                raise ValueError(f"clamp has low {self.low:g} above high {self.high:g}")
        elif self.low is not None or self.high is not None:
            raise ValueError(f"low and high belong to operator clamp, not to {self.operator}")
        if self.scale != "unit" and self.operator != "blend":
            raise ValueError(f"scale belongs to operator blend, not to {self.operator}")
        if self.strategy == "one-to-one" and self.layers is not None:
            raise ValueError("one-to-one steers only at its source_layer; leave layers out")
        if self.strategy == "all-to-all" and self.source_layer is not None:
            raise ValueError("all-to-all uses each layer's own direction; leave source_layer out")
        if self.layers is not None and not self.layers:
            raise ValueError("layers is empty; leave it out to steer all layers")
        return self

    def _strengths(self) -> list[float]:
        """The strength at every breakpoint; between two, it lies between theirs."""
        factors = [factor for _, factor in self.schedule.points] if self.schedule else [1.0]
        return [self.strength * factor for factor in factors]


class Steering(BaseModel):
    """Steers in the order in which they are applied."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steers: tuple[Steer, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.steers)

    def __str__(self) -> str:
        return ", ".join(f"{s.vector} {s.strength:+g}" for s in self.steers) or "plain"

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Steering":
        """Read `{"steers": [...]}`, a bare list of steers, or a take's sidecar from JSON. Raises TonearmError naming the place of the mistake."""
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise TonearmError(f"no steering file at {path}; give the path of a JSON file") from None
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise TonearmError(f"cannot read {path} as JSON ({error}); see docs/steering.md for its form") from None
        if isinstance(content, list):
            content = {"steers": content}
        elif isinstance(content, dict) and content.get("kind") == "tonearm take":
            content = content.get("steering")
        return validated(cls, content, where=str(path))


def validated(schema: type[BaseModel], content: Any, where: str) -> Any:
    """`content` as `schema`, or a TonearmError that says where it is wrong in one line."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        given = "" if isinstance(first.get("input"), dict | list | BaseModel) else f" (given: {first.get('input')!r})"
        if first["type"] == "extra_forbidden":
            reason, given = f"unknown key; known are {', '.join(_keys(schema, first['loc']))}", ""
        raise TonearmError(f"{where}: {place + ': ' if place else ''}{reason}{given}") from None


def _keys(schema: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    owner = schema
    for part in place[:-1]:
        if part in owner.model_fields:
            owner = _model_within(owner.model_fields[str(part)].annotation) or owner
    return list(owner.model_fields)


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The schema inside `Schema | None`, `tuple[Schema, ...]` or `dict[str, Schema]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_within(inner))), None)


SHORT = re.compile(
    r"^\s*(?P<vector>[^=]+?)\s*=\s*(?P<strength>[^@\s]+)\s*(?:@\s*(?P<start>[\d.]+)\s*-\s*(?P<end>[\d.]+)\s*)?$"
)


def parse_short(text: str) -> Steer:
    """`tempo=1.25`, `path/to/file.safetensors=-1`, or `tempo=1.25@2-6` for a window of 2 to 6 seconds."""
    found = SHORT.match(text)
    if not found:
        raise TonearmError(
            f"steer {text!r} is not understood; write NAME=STRENGTH, such as tempo=1.25, or tempo=1.25@2-6 for seconds 2 to 6"
        )
    try:
        strength = float(found["strength"])
    except ValueError:
        raise TonearmError(
            f"steer {text!r}: strength {found['strength']!r} is not a number; write for example {found['vector']}=1.25"
        ) from None
    fields: dict[str, Any] = {"vector": found["vector"], "strength": strength}
    if found["start"] is not None:
        try:
            fields["schedule"] = Schedule.window(float(found["start"]), float(found["end"]))
        except ValueError as error:
            raise TonearmError(f"steer {text!r}: {_reason(error)}") from None
    return validated(Steer, fields, where=f"steer {text!r}")


def _reason(error: ValueError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ") if isinstance(error, ValidationError) else str(error)


SteeringLike = Steering | Steer | str | Mapping[str | SteeringVector, float] | Sequence[Steer | str] | None


def as_steering(steer: SteeringLike) -> tuple[Steering, dict[str, SteeringVector]]:
    """Any accepted form as a Steering, and the vectors that were given as objects, by the name the Steering uses for them.

    Accepted: None, `"tempo=1.25"`, `{"tempo": 1.25}`, `{vector: 1.25}`, a Steer, a list of Steers or strings, a Steering.
    """
    given: dict[str, SteeringVector] = {}
    if steer is None:
        return Steering(), given
    if isinstance(steer, Steering):
        return steer, given
    if isinstance(steer, Steer):
        return Steering(steers=(steer,)), given
    if isinstance(steer, str):
        return Steering(steers=tuple(parse_short(part) for part in steer.split(","))), given
    steers: list[Steer] = []
    if isinstance(steer, Mapping):
        for key, strength in steer.items():
            if isinstance(key, SteeringVector):
                if key.name in given or key.name in steer:
                    raise TonearmError(
                        f"two vectors are named {key.name!r}; give one of them another name with renamed()"
                    )
                given[key.name] = key
                key = key.name
            steers.append(validated(Steer, {"vector": key, "strength": strength}, where=f"steer {key!r}"))
        return Steering(steers=tuple(steers)), given
    if isinstance(steer, Sequence):
        for item in steer:
            inner, more = as_steering(item)
            if clash := sorted(given.keys() & more.keys()):
                raise TonearmError(f"two vectors are named {clash[0]!r}; give one of them another name with renamed()")
            steers += inner.steers
            given |= more
        return Steering(steers=tuple(steers)), given
    raise TonearmError(
        f"steer is a {type(steer).__name__}; give a dict such as {{'tempo': 1.25}}, a list of Steer, or a Steering"
    )
