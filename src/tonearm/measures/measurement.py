"""Measurement: one number with its unit and its protocol, safe to write as JSON."""

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Measurement:
    """One measured number. `value` is None where it cannot be told (silence, a clip too short, samples not finite).

    NaN and infinities become None on the way in, so that they reach neither a mean nor a JSON file.
    """

    name: str
    value: float | None
    unit: str
    protocol: str  # estimator and settings, in one line

    def __post_init__(self) -> None:
        if self.value is not None:
            object.__setattr__(self, "value", float(self.value) if math.isfinite(self.value) else None)

    def to_dict(self) -> dict[str, str | float | None]:
        return asdict(self)
