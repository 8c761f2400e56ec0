"""Effects by condition -> bars with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tonearm.atomic import atomic_write
from tonearm.studies.effects import Condition

BLUE, GREY = "#2f6fb3", "#9aa3ad"


@dataclass(frozen=True)
class Panel:
    """One bar a condition; NaN leaves it out. `low` and `high` end its interval, `zero` is where bars begin."""

    title: str
    axis: str
    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    zero: float = 0.0


def draw_figure(conditions: Sequence[Condition], panels: Sequence[Panel], path: Path) -> None:
    """One panel a measure. Steering by a learned vector is blue, controls are grey."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(14, 0.34 * len(conditions) + 1.4), sharey=True, layout="constrained"
    )
    colours = [BLUE if c.steering and not c.name.startswith("random") else GREY for c in conditions]
    for axis, panel in zip(axes, panels, strict=True):
        values = np.array(panel.values)
        errors = None if panel.low is None else [values - np.array(panel.low), np.array(panel.high) - values]
        axis.barh(
            range(len(conditions)), values - panel.zero, left=panel.zero, xerr=errors, color=colours, ecolor="#444",
            capsize=2, height=0.7,
        )  # fmt: skip
        axis.axvline(panel.zero, color="#444", linewidth=0.8)
        axis.set_title(panel.title, loc="left", fontsize=11)
        axis.set_xlabel(panel.axis)
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        axis.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(conditions)), [condition.label for condition in conditions])
    axes[0].invert_yaxis()
    with atomic_write(path) as aside:
        figure.savefig(aside, dpi=130)
    pyplot.close(figure)
