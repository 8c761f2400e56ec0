"""Controller of a closed loop: from the effect that was measured to the effect to ask for."""

from dataclasses import dataclass, field

from tonearm import boundary
from tonearm.errors import TonearmError


@dataclass(frozen=True)
class LoopSettings:
    """Settings of a loop.

    period        seconds between two measurements
    window        seconds of audio that are measured
    proportional  share of an error that is added at once
    integral      share of an error that is added per second
    deadband      error that is ignored, as a share of the knob's range
    rate          largest change per second, as a share of the actuator's range
    """

    period: float = 1.0
    window: float = 3.0
    proportional: float = 0.5
    integral: float = 0.15
    deadband: float = 0.05
    rate: float = 0.5

    def __post_init__(self) -> None:
        for name in ("period", "window", "rate"):
            if not boundary.number(getattr(self, name), name) > 0:
                raise TonearmError(f"{name} is {getattr(self, name):g}; give above 0")
        for name in ("proportional", "integral", "deadband"):
            if not boundary.number(getattr(self, name), name) >= 0:
                raise TonearmError(f"{name} is {getattr(self, name):g}; give 0 or more")


@dataclass
class Controller:
    """Proportional and integral control of the effect of a knob, with anti-windup.

    target    effect that is asked for
    low, high of the effects that the knob has
    settings  of the loop
    wanted    effect that the table is asked for now; at first the target
    """

    target: float
    low: float
    high: float
    settings: LoopSettings
    integral: float = 0.0
    wanted: float = field(init=False)

    def __post_init__(self) -> None:
        self.wanted = self.target

    def update(self, measured: float, seconds: float) -> float:
        """Take a measured effect into account.

        Args:
            measured: effect of the last window.
            seconds: since the last update.

        Returns:
            The effect to ask the table for.
        """
        error = self.target - measured
        if abs(error) <= self.settings.deadband * (self.high - self.low):
            error = 0.0
        pushed = self.integral + self.settings.integral * error * seconds
        raw = self.target + self.settings.proportional * error + pushed
        self.wanted = min(max(raw, self.low), self.high)
        if raw == self.wanted or error * (raw - self.wanted) < 0:
            self.integral = pushed
        return self.wanted
