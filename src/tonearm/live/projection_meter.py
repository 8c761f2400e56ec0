"""Projections of a performance, averaged so that a meter can show them."""

import math
from collections.abc import Mapping

from tonearm.generation.stream import Projection
from tonearm.live.state import ProjectionReading

SECONDS = 0.5  # time constant of the average


class ProjectionMeter:
    """Exponential averages of the projections on each vector."""

    def __init__(self) -> None:
        self._means: dict[str, ProjectionReading] = {}

    def add(self, projections: Mapping[str, Projection], seconds: float) -> None:
        """Count the projections at the newest frame, `seconds` after those before."""
        kept = math.exp(-seconds / SECONDS)
        for name, one in projections.items():
            plain = one.value if one.plain is None else one.plain
            before = self._means.get(name)
            if before is not None:
                steered = kept * before.steered + (1 - kept) * one.value
                plain = kept * before.plain + (1 - kept) * plain
            else:
                steered = one.value
            self._means[name] = ProjectionReading(
                steered=steered, plain=plain, in_deviations=one.in_deviations
            )

    @property
    def states(self) -> dict[str, ProjectionReading]:
        """The averages by name of the vector."""
        return {
            name: one.model_copy(
                update={"steered": round(one.steered, 3), "plain": round(one.plain, 3)}
            )
            for name, one in self._means.items()
        }
