"""Scales of a direction over generated frames, the unit of the levels that operator `set` reaches.

At each layer, m and σ are the mean and the standard deviation of h·r over the frames of plain takes
on neutral prompts, with h the activation and r the unit direction. A level L is the projection
m + L σ: 0 is the projection of plain music, and -L of the negated direction is L of the direction.

`tonearm calibrate --scales` measures them (tonearm/activations/frame_scales.py).
"""

import hashlib
import json
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from tonearm.schema import Declared
from tonearm.steering.calibration import Finite, Layer


class FrameScales(Declared):
    """Mean and standard deviation of h·r over generated frames, by layer (0-based).

    `protocol` states the takes in one line: checkpoint, prompts, seconds, seeds, sampling.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    means: dict[Layer, Finite]
    deviations: dict[Layer, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
    protocol: str = ""

    @model_validator(mode="after")
    def _of_equal_layers(self) -> "FrameScales":
        if self.means.keys() != self.deviations.keys():
            raise ValueError("means and deviations are not of the same layers")
        return self

    def __neg__(self) -> "FrameScales":
        """Scales of the negated direction."""
        return self.model_copy(update={"means": {i: -mean for i, mean in self.means.items()}})

    def content_hash(self) -> str:
        """sha256 (hexadecimal) of means and deviations, not of the protocol."""
        content = self.model_dump(mode="json", exclude={"protocol"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
