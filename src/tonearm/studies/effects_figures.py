"""Bar charts of effects by condition, with intervals, and the spread over random directions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tonearm.files.atomic import atomic_write
from tonearm.stats.effect import Effect
from tonearm.studies.effects_analysis import Results
from tonearm.studies.effects_random import Spread
from tonearm.studies.effects_rows import Row
from tonearm.studies.effects_text import TITLES
from tonearm.studies.scales import is_relative

BLUE, GREY = "#2f6fb3", "#9aa3ad"


@dataclass(frozen=True)
class Panel:
    """One bar per condition.

    Attributes:
        title: measure and unit.
        axis: label of the horizontal axis.
        values: lengths of the bars; NaN for no bar.
        low: lower ends of the intervals; None for no intervals.
        high: upper ends.
        zero: where the bars begin.
    """

    title: str
    axis: str
    values: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    zero: float = 0.0

    @classmethod
    def of_effects(
        cls, title: str, axis: str, effects: Sequence[Effect], factor: float = 1
    ) -> "Panel":
        """Show changes with their intervals, times `factor`."""
        return cls(
            title,
            axis,
            [factor * one.change for one in effects],
            [factor * one.low for one in effects],
            [factor * one.high for one in effects],
        )


def effect_panels(rows: Sequence[Row], measures: Sequence[str]) -> list[Panel]:
    """Show the relative change of each measure.

    Args:
        rows: without the plain one.
        measures: names.
    """
    return [
        Panel.of_effects(
            TITLES[measure],
            "change, %",
            [row.effects[measure] for row in rows],
            factor=100,
        )
        for measure in measures
    ]


def cost_panels(results: Results) -> list[Panel]:
    """Show faults, pulse clarity, CLAP score and FAD of all conditions but the first.

    The bars of faults and FAD begin at the value of the first condition, no steering.
    """
    plain, rows = results.plain, results.rows[1:]
    distances = [results.distances[row.condition.name].fad for row in rows]
    floor = results.distances[plain.condition.name].fad
    return [
        Panel(
            "faulty takes",
            "share, %",
            [100 * row.counts.faulty / row.counts.takes for row in rows],
            zero=100 * plain.counts.faulty / plain.counts.takes,
        ),
        Panel.of_effects(
            TITLES["pulse_clarity"],
            "change, %",
            [row.effects["pulse_clarity"] for row in rows],
            factor=100,
        ),
        Panel.of_effects(
            f"{TITLES['clap_score']} (bundled CLAP)",
            "difference of mean cosines",
            [row.effects["clap_score"] for row in rows],
        ),
        Panel(
            "FAD (bundled CLAP)",
            "to unsteered takes of other seeds",
            [float("nan") if one is None else one.value for one in distances],
            zero=floor.value if floor else 0.0,
        ),
    ]


def draw_figure(rows: Sequence[Row], panels: Sequence[Panel], path: Path) -> None:
    """Draw one panel per measure; learned vectors are blue, controls grey.

    Args:
        rows: conditions of the bars.
        panels: side by side.
        path: of the PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    height = 0.34 * len(rows) + 1.4
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(14, height), sharey=True, layout="constrained"
    )
    colours = [BLUE if row.condition.steering else GREY for row in rows]
    for axis, panel in zip(axes, panels, strict=True):
        values = np.array(panel.values)
        errors = None
        if panel.low is not None:
            errors = [values - np.array(panel.low), np.array(panel.high) - values]
        axis.barh(
            range(len(rows)),
            values - panel.zero,
            left=panel.zero,
            xerr=errors,
            color=colours,
            ecolor="#444",
            capsize=2,
            height=0.7,
        )
        axis.axvline(panel.zero, color="#444", linewidth=0.8)
        axis.set_title(panel.title, loc="left", fontsize=11)
        axis.set_xlabel(panel.axis)
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        axis.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(rows)), [row.condition.label for row in rows])
    axes[0].invert_yaxis()
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=130)
    pyplot.close(figure)


def draw_spreads(spreads: Sequence[Spread], path: Path) -> None:
    """Draw one panel per measure: a grey dot per random direction, the vector in blue.

    Args:
        spreads: a row for each attribute and sign.
        path: of the PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    measures = list(dict.fromkeys(spread.measure for spread in spreads))
    rows = list(dict.fromkeys((one.attribute, one.sign) for one in spreads))
    figure, axes = pyplot.subplots(
        1,
        len(measures),
        figsize=(16, 0.42 * len(rows) + 1.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, measure in zip(axes[0], measures, strict=True):
        factor, unit = (100, "change, %") if is_relative(measure) else (1, "difference")
        for spread in (one for one in spreads if one.measure == measure):
            row = rows.index((spread.attribute, spread.sign))
            changes = [factor * change for change in spread.changes]
            axis.plot(changes, [row] * len(changes), "o", color=GREY, alpha=0.7, markersize=5)
            axis.plot([factor * spread.mean] * 2, [row - 0.3, row + 0.3], color="#444", linewidth=2)
            vector = spread.vector
            axis.errorbar(
                factor * vector.change,
                row,
                xerr=[
                    [factor * (vector.change - vector.low)],
                    [factor * (vector.high - vector.change)],
                ],
                fmt="D",
                color=BLUE,
                markersize=6,
                capsize=2,
                linewidth=1,
            )
        axis.axvline(0, color="#444", linewidth=0.8)
        axis.set_title(TITLES[measure], loc="left", fontsize=11)
        axis.set_xlabel(unit)
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        axis.tick_params(axis="y", length=0)
    labels = [f"{attribute} {sign}1" for attribute, sign in rows]
    axes[0][0].set_yticks(range(len(rows)), labels)
    axes[0][0].invert_yaxis()
    figure.suptitle(
        "grey: random directions, bar at their mean; blue: the learned vector, 95 % interval",
        x=0.01,
        ha="left",
        fontsize=11,
    )
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=110)
    pyplot.close(figure)
