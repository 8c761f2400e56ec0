"""Control: one message that changes a setting while a clip is decoded.

The same message serves Python, OSC, MIDI and WebSocket.

| target            | value                                                        |
|-------------------|--------------------------------------------------------------|
| target/<vector>   | target of the same steers, in the relative unit of the knob  |
| amount/<vector>   | amount of every steer of the vector that has amounts         |
| strength/<vector> | strength of every steer of the vector that has strengths     |
| level/<vector>    | level of every steer of the vector by operator set           |
| guidance          | classifier-free guidance; 1 or less switches it off          |
| temperature       | sampling temperature; 0 takes the most likely code           |
| mute              | 1 silences the stream's output, 0 restores it; the take keeps the music |
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from tonearm import boundary
from tonearm.schema import Declared

Setting = Literal["target", "amount", "strength", "level"]  # of a vector's steers
SETTINGS: tuple[Setting, ...] = ("target", "amount", "strength", "level")
GUIDANCE, TEMPERATURE, MUTE = "guidance", "temperature", "mute"
MAX_GUIDANCE, MAX_TEMPERATURE = 100.0, 10.0
TARGETS = (*(f"{setting}/<vector>" for setting in SETTINGS), GUIDANCE, TEMPERATURE, MUTE)


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
        return cls._of("strength", vector, value)

    @classmethod
    def amount(cls, vector: str, value: float) -> "Control":
        """The control that sets a vector's amount."""
        return cls._of("amount", vector, value)

    @classmethod
    def level(cls, vector: str, value: float) -> "Control":
        """The control that sets a vector's level."""
        return cls._of("level", vector, value)

    @classmethod
    def _of(cls, setting: Setting, vector: str, value: float) -> "Control":
        name = boundary.instance(vector, "vector", str, "its name")
        return cls(target=f"{setting}/{name}", value=value)

    @property
    def setting(self) -> Setting | None:
        """The setting of a vector that is set; None for other targets."""
        kind, _, name = self.target.partition("/")
        return next((one for one in SETTINGS if one == kind and name), None)

    @classmethod
    def physical(cls, vector: str, value: float) -> "Control":
        """The control that sets a vector's target, in the relative unit of its measure."""
        return cls._of("target", vector, value)

    @property
    def vector(self) -> str | None:
        """Name of the vector whose setting is set; None for other targets."""
        return None if self.setting is None else self.target.partition("/")[2]
