"""Bar charts of effects by condition, with intervals, and the spread over random directions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tonearm.files.atomic import atomic_write
from tonearm.studies.effects_evaluators import EvaluatorSummary
from tonearm.studies.effects_random import DIFFERENCES, Spread
from tonearm.studies.effects_trials import Condition, Effect

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


def effect_panels(
    effects: Mapping[tuple[str, str], Effect],
    conditions: Sequence[Condition],
    measures: Sequence[tuple[str, str]],
) -> list[Panel]:
    """Show the relative change of each measure.

    Args:
        effects: by condition and measure.
        conditions: without the plain one.
        measures: names with units.

    Returns:
        One panel per measure.
    """
    return [
        Panel.of_effects(
            f"{measure.replace('_', ' ')} ({unit})",
            "change of the mean against no steering, %",
            [effects[condition.name, measure] for condition in conditions],
            factor=100,
        )
        for measure, unit in measures
    ]


def evaluator_panels(
    summaries: Mapping[str, EvaluatorSummary], conditions: Sequence[Condition]
) -> list[Panel]:
    """Show tempo, CLAP score and FAD of all conditions but the first.

    The bars of FAD begin at the value of the first condition, no steering.
    """
    floor = summaries[conditions[0].name].fad
    shown = [summaries[condition.name] for condition in conditions[1:]]
    return [
        Panel.of_effects(
            "tempo (BPM, bundled beat tracker)",
            "change of the mean against no steering, %",
            [summary.tempo for summary in shown],
            factor=100,
        ),
        Panel.of_effects(
            "CLAP score (bundled CLAP)",
            "difference of mean cosines",
            [summary.clap_score for summary in shown],
        ),
        Panel(
            "FAD (bundled CLAP)",
            "to unsteered takes of other seeds",
            [float("nan") if summary.fad is None else summary.fad.value for summary in shown],
            zero=floor.value if floor else 0.0,
        ),
    ]


def draw_figure(conditions: Sequence[Condition], panels: Sequence[Panel], path: Path) -> None:
    """Draw one panel per measure; learned vectors are blue, controls grey.

    Args:
        conditions: labels of the bars.
        panels: side by side.
        path: of the PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    height = 0.34 * len(conditions) + 1.4
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(14, height), sharey=True, layout="constrained"
    )
    colours = [BLUE if condition.steering else GREY for condition in conditions]
    for axis, panel in zip(axes, panels, strict=True):
        values = np.array(panel.values)
        errors = None
        if panel.low is not None:
            errors = [values - np.array(panel.low), np.array(panel.high) - values]
        axis.barh(
            range(len(conditions)),
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
    axes[0].set_yticks(range(len(conditions)), [condition.label for condition in conditions])
    axes[0].invert_yaxis()
    with atomic_write(path) as partial:
        figure.savefig(partial, dpi=130)
    pyplot.close(figure)


def draw_spreads(spreads: Sequence[Spread], titles: Mapping[str, str], path: Path) -> None:
    """Draw one panel per measure: a grey dot per random direction, the vector in blue.

    Args:
        spreads: a row for each strength, attribute and sign.
        titles: of the measures.
        path: of the PNG.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    measures = list(dict.fromkeys(spread.measure for spread in spreads))
    rows = list(dict.fromkeys((one.size, one.attribute, one.sign) for one in spreads))
    figure, axes = pyplot.subplots(
        1,
        len(measures),
        figsize=(16, 0.42 * len(rows) + 1.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, measure in zip(axes[0], measures, strict=True):
        factor, unit = (1, "difference") if measure in DIFFERENCES else (100, "change, %")
        for spread in (one for one in spreads if one.measure == measure):
            row = rows.index((spread.size, spread.attribute, spread.sign))
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
        axis.set_title(titles[measure], loc="left", fontsize=11)
        axis.set_xlabel(unit)
        axis.grid(axis="x", alpha=0.3)
        axis.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
        axis.tick_params(axis="y", length=0)
    labels = [f"norm of {attribute}, {sign}{size:g}" for size, attribute, sign in rows]
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
