"""Control: one message that changes a setting while a clip is decoded.

The same message serves Python, OSC, MIDI and WebSocket.

| target            | value                                                        |
|-------------------|--------------------------------------------------------------|
| target/<vector>   | target of the same steers, in the relative unit of the knob  |
| amount/<vector>   | amount of every steer of the vector that has amounts         |
| strength/<vector> | strength of every steer of the vector that has strengths     |
| guidance          | classifier-free guidance; 1 or less switches it off          |
| temperature       | sampling temperature; 0 takes the most likely code           |
| mute              | 1 silences the stream's output, 0 restores it; the take keeps the music |
"""

from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from tonearm import boundary
from tonearm.schema import Declared

TARGET, AMOUNT, STRENGTH = "target/", "amount/", "strength/"
GUIDANCE, TEMPERATURE, MUTE = "guidance", "temperature", "mute"
MAX_GUIDANCE, MAX_TEMPERATURE = 100.0, 10.0
TARGETS = (
    f"{TARGET}<vector>",
    f"{AMOUNT}<vector>",
    f"{STRENGTH}<vector>",
    GUIDANCE,
    TEMPERATURE,
    MUTE,
)


class Control(Declared):
    """A setting and its new value; see the module's table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str
    value: Annotated[float, Field(allow_inf_nan=False)]

    @model_validator(mode="after")
    def _known(self) -> "Control":
        if self.vector is None and self.target not in (GUIDANCE, TEMPERATURE, MUTE):
            raise ValueError(f"target {self.target!r} is unknown; use one of {', '.join(TARGETS)}")
        limits = {GUIDANCE: MAX_GUIDANCE, TEMPERATURE: MAX_TEMPERATURE, MUTE: 1.0}
        highest = limits.get(self.target)
        if highest is not None and not 0 <= self.value <= highest:
            raise ValueError(f"{self.target} {self.value:g} is not possible; use 0 to {highest:g}")
        return self

    @classmethod
    def strength(cls, vector: str, value: float) -> "Control":
        """The control that sets a vector's strength."""
        return cls(
            target=STRENGTH + boundary.instance(vector, "vector", str, "its name"), value=value
        )

    @classmethod
    def amount(cls, vector: str, value: float) -> "Control":
        """The control that sets a vector's amount."""
        return cls(
            target=AMOUNT + boundary.instance(vector, "vector", str, "its name"), value=value
        )

    @classmethod
    def physical(cls, vector: str, value: float) -> "Control":
        """The control that sets a vector's target, in the relative unit of its measure."""
        return cls(
            target=TARGET + boundary.instance(vector, "vector", str, "its name"), value=value
        )

    @property
    def vector(self) -> str | None:
        """Name of the vector that is set; None for other targets."""
        for kind in (TARGET, AMOUNT, STRENGTH):
            name = self.target.removeprefix(kind)
            if self.target.startswith(kind) and name:
                return name
        return None

    @property
    def sets_amount(self) -> bool:
        """Whether the value is an amount, or a target that has one."""
        return self.target.startswith((AMOUNT, TARGET))

    @property
    def sets_target(self) -> bool:
        """Whether the value is a target in a physical unit."""
        return self.target.startswith(TARGET)
