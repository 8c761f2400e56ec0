"""Figures of the ranking as SVG, each with its numbers."""

from collections.abc import Callable, Sequence
from math import isfinite, nan
from statistics import fmean
from typing import Any

import numpy as np

from tonearm.report.drawing import drawn
from tonearm.report.study_page import Figure
from tonearm.report.table import Table
from tonearm.studies.methods2026.analysis import AttributeResult, CellResult, Point, Results

GREY = "#8a8f98"
WORD_COLOUR, PROCESSED_COLOUR = "#000000", "#b8860b"
COLOURS = (
    *("#c2571a", "#2f6fb3", "#3d8b40", "#7b5aa6", "#b03060", "#1f9e9e", "#8c6d1f"),
    *("#e377c2", "#17375e", "#7f7f00", "#ff9f1c", "#5b2a86", "#2b9348", "#d00000"),
)
UNIT = "sd of plain takes"


def all_figures(results: Results) -> dict[str, Figure]:
    """Draw every figure of the ranking, by name."""
    return {
        "ranking": ranking(results),
        "curves": effect_curves(results),
        "damage": damage(results),
    }


def colours(results: Results) -> dict[str, str]:
    """Colour of each row of the ranking, the same in every figure."""
    names = [one.condition.name for one in results.ranking]
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(sorted(names))}


def ranking(results: Results) -> Figure:
    """Areas of all cells, and the score of each row."""
    rows, names = results.ranking, [one.attribute.name for one in results.attributes]
    values = np.array(
        [[one.cells[name].value if name in one.cells else nan for name in names] for one in rows]
    )
    counted = [[name in one.counted for name in names] for one in rows]

    def draw(canvas: Any) -> None:
        left, right = canvas.subplots(1, 2, width_ratios=[len(names), 3.5], sharey=True)
        reach = float(np.nanmax(np.abs(values), initial=1e-9))
        left.imshow(
            np.where(counted, values, nan), cmap="PuOr_r", vmin=-reach, vmax=reach, aspect="auto"
        )
        for row, cells in enumerate(values):
            for column, value in enumerate(cells):
                is_counted = counted[row][column]
                is_dark = is_counted and abs(value) > 0.6 * reach
                left.text(
                    column,
                    row,
                    f"{value:+.2f}" if isfinite(value) else "–",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if is_dark else "black" if is_counted else GREY,
                    weight="bold" if is_counted else "normal",
                )
        left.set_xticks(range(len(names)), names, rotation=30, ha="right")
        left.set_yticks(range(len(rows)), [one.condition.name for one in rows])
        for row, one in enumerate(rows):
            score = one.score
            right.errorbar(
                score.value,
                row,
                xerr=[[score.value - score.low], [score.high - score.value]],
                fmt="o",
                color=COLOURS[0],
                ms=4,
                capsize=2,
            )
        right.axvline(0, color=GREY, lw=0.8)
        right.set_xlabel(f"score ({UNIT})")
        for side in ("top", "right"):
            right.spines[side].set_visible(False)

    table = [
        [
            one.condition.name,
            *(_number(value) for value in (one.score.value, one.score.low, one.score.high)),
            *(_number(value) for value in cells),
            *("1" if is_counted else "0" for is_counted in flags),
        ]
        for one, cells, flags in zip(rows, values, counted, strict=True)
    ]
    columns = ("row", "score", "low", "high", *names, *(f"{name} counts" for name in names))
    return drawn(
        "ranking",
        f"Left: area under the curve of effect over divergence up to {results.cutoff:g} nats per "
        f"frame, mean of both readings of the attribute, in standard deviations of plain takes; "
        "coloured and bold where the cell counts (both readings rise beyond their interval and "
        "beyond every random direction), grey where it does not. Right: the score, the mean over "
        "attributes of the areas that count, with 95 % intervals over prompts.",
        Table("ranking-figure", "", columns, table),
        (1.0 * len(names) + 4.5, 0.34 * len(rows) + 1.6),
        draw,
    )


def effect_curves(results: Results) -> Figure:
    """Effect of each reading over the divergence."""
    found, colour = results.attributes, colours(results)

    def draw(canvas: Any) -> None:
        grid = canvas.subplots(len(found), 2, squeeze=False, sharex=True)
        for axes, one in zip(grid, found, strict=True):
            for axis, reading in zip(axes, one.attribute.readings, strict=True):

                def change(point: Point, name: str = reading.name) -> float:
                    return point.changes[name].change

                _random_lines(axis, one, lambda point: point.nats, change)
                for cell in one.cells:
                    _line(axis, cell, colour[cell.name], lambda point: point.nats, change)
                _levels(axis, one, change)
                seeds = one.seeds.changes[reading.name]
                axis.axhspan(seeds.low, seeds.high, color=GREY, alpha=0.2, lw=0)
                axis.axvline(results.cutoff, color=GREY, lw=0.8, ls=":")
                axis.set_title(f"{one.attribute.name}: {reading.name} ({reading.family})")
            axes[0].set_ylabel(UNIT)
        for axis in grid[-1]:
            axis.set_xlabel("divergence, nats per frame")
        _legend(canvas, results, colour)

    return drawn(
        "curves",
        "Change of both readings of each attribute, in its sense, over the mean divergence of the "
        "predictions per frame, on held-out prompts, each row in the layer set that neutral prompts "
        "chose. Grey lines: random directions in every layer set. Dashed: the word in the prompt. "
        "Dash-dotted: signal processing. Grey band: plain takes of other seeds (95 % interval of "
        f"their mean). The dotted line is the cutoff of the areas, {results.cutoff:g} nats.",
        Table("curves", "", *_points_table(found)),
        (9.0, 2.5 * len(found) + 1.2),
        draw,
    )


def damage(results: Results) -> Figure:
    """Mean effect of both readings over the loss of text agreement, and over KAD."""
    found, colour = results.attributes, colours(results)
    axes_of: tuple[tuple[str, Callable[[Point], float]], ...] = (
        ("loss of text agreement (cosine)", lambda point: -point.text.change),
        ("KAD to plain takes", lambda point: nan if point.kad is None else point.kad),
    )

    def draw(canvas: Any) -> None:
        grid = canvas.subplots(len(found), 2, squeeze=False, sharex="col")
        for axes, one in zip(grid, found, strict=True):
            for axis, (label, cost) in zip(axes, axes_of, strict=True):

                def change(point: Point, result: AttributeResult = one) -> float:
                    return mean_change(result, point)

                _random_lines(axis, one, cost, change)
                for cell in one.cells:
                    _line(axis, cell, colour[cell.name], cost, change)
                for point, mark, tint in (
                    (one.word, "*", WORD_COLOUR),
                    (one.processed, "P", PROCESSED_COLOUR),
                ):
                    if point is not None:
                        axis.plot(cost(point), change(point), mark, color=tint, ms=8)
                axis.axvline(cost(one.seeds), color=GREY, lw=0.8, ls=":")
                axis.axhline(0, color=GREY, lw=0.8)
                axis.set_title(one.attribute.name)
                axis.set_xlabel(label)
            axes[0].set_ylabel(UNIT)
        _legend(canvas, results, colour)

    return drawn(
        "damage",
        "Mean change of both readings over the loss of the cosine of take and prompt (left) and over "
        "the kernel distance to plain takes by the bundled CLAP (right), at rising divergence. Star: "
        "the word in the prompt; plus: signal processing; grey: random directions. The dotted line "
        "is the level of plain takes of other seeds.",
        Table("damage", "", *_points_table(found)),
        (9.0, 2.5 * len(found) + 1.2),
        draw,
    )


def mean_change(result: AttributeResult, point: Point) -> float:
    """Mean change of both readings of an attribute."""
    return fmean(point.changes[one.name].change for one in result.attribute.readings)


def _line(
    axis: Any,
    cell: CellResult,
    colour: str,
    cost: Callable[[Point], float],
    change: Callable[[Point], float],
) -> None:
    """A cell from the origin on; dashed where it does not count."""
    axis.plot(
        [0.0, *(cost(point) for point in cell.points)],
        [0.0, *(change(point) for point in cell.points)],
        "-" if cell.counts else "--",
        marker="o",
        ms=2.5,
        lw=1.1,
        color=colour,
    )


def _random_lines(
    axis: Any,
    one: AttributeResult,
    cost: Callable[[Point], float],
    change: Callable[[Point], float],
) -> None:
    lines: dict[tuple[Any, ...], list[Point]] = {}
    for point in one.random:
        key = tuple(point.facts[name] for name in ("site", "layers", "draw"))
        lines.setdefault(key, []).append(point)
    for points in lines.values():
        axis.plot(
            [0.0, *map(cost, points)], [0.0, *map(change, points)], color=GREY, lw=0.6, alpha=0.6
        )


def _levels(axis: Any, one: AttributeResult, change: Callable[[Point], float]) -> None:
    """Levels of the controls without a divergence."""
    axis.axhline(0, color=GREY, lw=0.8)
    if one.word is not None:
        axis.axhline(change(one.word), color=WORD_COLOUR, lw=1, ls="--")
    if one.processed is not None:
        axis.axhline(change(one.processed), color=PROCESSED_COLOUR, lw=1, ls="-.")


def _legend(canvas: Any, results: Results, colour: dict[str, str]) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], color=colour[one.condition.name], marker="o", ms=3, lw=1.1)
        for one in results.ranking
    ]
    labels = [one.condition.name for one in results.ranking]
    canvas.legend(marks, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)


def _points_table(found: Sequence[AttributeResult]) -> tuple[tuple[str, ...], list[list[str]]]:
    """Every point with its numbers."""
    rows = []
    for one in found:
        points: list[tuple[str, Point | None]] = [
            (cell.name, point) for cell in one.cells for point in cell.points
        ]
        points += [
            (f"random {p.facts['draw']}, {p.facts['site']}, {p.facts['layers']}", p)
            for p in one.random
        ]
        points += [
            ("word", one.word),
            ("processing", one.processed),
            ("other seeds", one.seeds),
        ]
        for name, point in points:
            if point is None:
                continue
            for reading in one.attribute.readings:
                found_change = point.changes[reading.name]
                rows.append(
                    [
                        one.attribute.name,
                        name,
                        reading.name,
                        _number(point.nats),
                        *map(_number, (found_change.change, found_change.low, found_change.high)),
                        _number(-point.text.change),
                        _number(nan if point.kad is None else point.kad),
                    ]
                )
    columns = ("attribute", "row", "reading", "nats", "change", "low", "high", "text loss", "KAD")
    return columns, rows


def _number(value: float) -> str:
    return f"{value:.4f}" if isfinite(value) else ""
