"""Calibration of a steering vector: the configuration and the strength of an amount, per sign.

An amount of 1 is the largest strength within the damage limits, under the configuration that was
chosen for that sign; amounts are proportional to strengths. `tonearm calibrate` measures it.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from tonearm import boundary
from tonearm.schema import Declared
from tonearm.steering.operators import Operator, Scale
from tonearm.steering.response import Response
from tonearm.steering.units import UnitName

Strategy = Literal["one-to-all", "all-to-all", "one-to-one"]
Branch = Literal["both", "conditional", "unconditional"]
Layer = Annotated[int, Field(ge=0, lt=1024)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
MAX_RAMP_SECONDS = 60.0
# measures whose change is a difference: levels in dB, probabilities, cosines
LEVELS = ("loudness", "high_onset_level")
DIFFERENCES = (*LEVELS, "tag:", "clap:")


class Configuration(Declared):
    """How a direction is injected; the fields are those of a `Steer`.

    `ramp` is the time in seconds over which the strength grows from 0 at the start of a clip.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    operator: Operator = "add"
    scale: Scale = "unit"
    strategy: Strategy = "one-to-all"
    source_layer: Layer | None = None
    layers: tuple[Layer, ...] | None = None
    branch: Branch = "both"
    ramp: float = Field(default=0.0, ge=0, le=MAX_RAMP_SECONDS)


class Evidence(Declared):
    """Measurements at amount 1 and without steering, on the same prompts and seeds.

    measure          what the effect was measured with, such as "spectral_centroid"
    plain, steered   means of that measure
    effect           change of the mean: relative, or a difference where the measure is a score
    low, high        bounds of its 95 % interval
    faulty_plain     share of takes with a fault
    faulty_steered   likewise
    pulse_ratio      mean pulse clarity, steered over plain
    text_loss        loss of the CLAP score of take and prompt
    prompts          n
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: str
    plain: Finite
    steered: Finite
    effect: Finite
    low: Finite
    high: Finite
    faulty_plain: float = Field(ge=0, le=1)
    faulty_steered: float = Field(ge=0, le=1)
    pulse_ratio: Finite
    text_loss: Finite
    prompts: int = Field(ge=1)

    @property
    def is_relative(self) -> bool:
        """Whether the effect is relative to the plain mean, and not a difference."""
        return not self.measure.startswith(DIFFERENCES)

    @property
    def interval(self) -> str:
        """`+58% [+51%, +66%]`, a level such as `+3.5 [+2.4, +4.6]`, or a difference of probabilities
        or cosines such as `+0.041 [+0.032, +0.055]`.
        """
        form = "+.0%" if self.is_relative else "+.1f" if self.measure in LEVELS else "+.3f"
        change, low, high = (f"{number:{form}}" for number in (self.effect, self.low, self.high))
        return f"{change} [{low}, {high}]"


class Leak(Declared):
    """Change of another measure at amount 1, with its 95 % interval, in `unit`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    change: Finite
    low: Finite
    high: Finite
    unit: UnitName

    @property
    def is_certain(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    @property
    def sureness(self) -> float:
        """Size of the change in widths of its interval."""
        width = self.high - self.low
        return abs(self.change) / width if width else float("inf")


class Drift(Declared):
    """The effect at amount 1 in the first and the last part of long takes.

    seconds  of a take
    part     seconds of a part
    early    effect in the first part, in the unit of the response
    late     effect in the last part
    prompts  n
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float = Field(gt=0, allow_inf_nan=False)
    part: float = Field(gt=0, allow_inf_nan=False)
    early: Finite
    late: Finite
    prompts: int = Field(ge=1)

    @property
    def kept(self) -> float | None:
        """Share of the early effect that is left; None where there was none."""
        return self.late / self.early if self.early else None


class SignCalibration(Declared):
    """One sign of a vector.

    strength       above 0, of amount 1; None where no strength had the effect with whole music
    configuration  of the injection
    evidence       at that strength, on prompts that did not choose it; None before it is measured
    response       effect over amounts, which gives targets in physical units a meaning
    leakage        of every other measure at amount 1, by its name
    drift          over long takes; None where it was not measured
    failure        reason where the sign fails; empty where it passes
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    strength: Annotated[float, Field(gt=0, le=1000)] | None = None
    configuration: Configuration = Field(default_factory=Configuration)
    evidence: Evidence | None = None
    response: Response | None = None
    leakage: dict[str, Leak] = Field(default={})
    drift: Drift | None = None
    failure: str = ""

    @model_validator(mode="after")
    def _decided(self) -> "SignCalibration":
        if (self.strength is None) != bool(self.failure):
            raise ValueError("a sign has either a strength or the reason of its failure")
        return self


class Calibration(Declared):
    """Both signs of a vector, and how they were measured.

    protocol  prompts, seconds, seeds, evaluators and limits, in one line
    tables    the same of responses, leakage and drift; empty without them
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    positive: SignCalibration
    negative: SignCalibration
    protocol: str = ""
    tables: str = ""

    def amounts_json(self) -> str:
        """What amounts mean and how they were chosen, without the tables of the knob, as JSON.

        Studies of amounts identify a calibration by it: tables change no take.
        """
        tables = {"response", "leakage", "drift"}
        return self.model_dump_json(
            exclude={"positive": tables, "negative": tables, "tables": True}
        )

    def of(self, sign: int) -> SignCalibration:
        """Calibration of the positive (`sign` > 0) or the negative sign."""
        return self.positive if boundary.integer(sign, "sign") > 0 else self.negative
