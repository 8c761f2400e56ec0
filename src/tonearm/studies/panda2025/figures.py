"""Figures of the steering experiments as SVG, each with its numbers."""

from typing import Any

from tonearm.report.drawing import drawn
from tonearm.report.study_page import Figure
from tonearm.report.table import Table
from tonearm.stats.effect import Effect
from tonearm.studies.panda2025.analysis import PairResult, Results
from tonearm.studies.panda2025.design import (
    DIFFMEAN,
    MAX_TEXT_LOSS,
    PAPER_METHOD,
    RIDGE_PATH,
    SITES,
)
from tonearm.studies.panda2025.rows import Row
from tonearm.studies.panda2025.structure_report import SITE_COLOURS

METHOD_COLOURS = {
    "mse-probe": "#c2571a",
    "bce-probe": "#2f6fb3",
    "diffmean": "#3d8b40",
    "lda": "#7b5aa6",
    "prompts": "#b8860b",
}
GREY = "#8a8f98"


def all_figures(results: Results) -> dict[str, Figure]:
    """Draw every figure of the steering experiments, by name."""
    found = {
        "alpha": alpha_curves(results),
        "frontier": frontier(results),
        "methods": method_effects(results),
        "fusion": fusion_plane(results),
        "divergence": divergence_curves(results),
    }
    if any(one.ridge for one in results.pairs):
        found["ridge"] = ridge_path(results)
    return found


def alpha_curves(results: Results) -> Figure:
    """Target's score and loss of text agreement over α."""
    pairs = results.pairs

    def draw(canvas: Any) -> None:
        grid = canvas.subplots(2, len(pairs), sharey="row", squeeze=False)
        for column, one in zip(grid.T, pairs, strict=True):
            for site in SITES:
                rows = [row for row in one.strengths if _is_paper(row, site)]
                rows.sort(key=lambda row: row.facts["alpha"])
                alphas = [row.facts["alpha"] for row in rows]
                for axis, effects in (
                    (column[0], [row.target for row in rows]),
                    (column[1], [row.text for row in rows]),
                ):
                    _line(axis, alphas, effects, SITE_COLOURS[site], site)
            for axis in column:
                axis.set_xscale("log")
                axis.axhline(0, color=GREY, lw=0.8)
            column[0].set_title(f"{one.pair.name} ({one.pair.table})")
            column[1].set_xlabel("α")
        grid[0][0].set_ylabel("change of the target's score")
        grid[1][0].set_ylabel("change of text agreement")
        grid[0][0].legend(frameon=False)

    rows = [
        [
            one.pair.name,
            str(row.facts["site"]),
            f"{row.facts['nats']:g}",
            f"{row.facts['alpha']:g}",
            *_numbers(row.target),
            *_numbers(row.text),
        ]
        for one in pairs
        for site in SITES
        for row in one.strengths
        if _is_paper(row, site)
    ]
    columns = ("pair", "site", "nats", "α", "score", "low", "high", "text", "low", "high")
    return drawn(
        "alpha-curves",
        "The paper's method on neutral prompts: change of the target's score against the source "
        "(above) and of the cosine of take and prompt (below) over α, at both sites, with 95 % "
        "intervals over prompts.",
        Table("alpha-curves", "", columns, rows),
        (2.4 * len(pairs) + 0.6, 4.6),
        draw,
    )


def _is_paper(row: Row, site: str) -> bool:
    facts = row.facts
    return (facts["site"], facts["method"], facts["form"]) == (site, PAPER_METHOD, "blend")


def frontier(results: Results) -> Figure:
    """Target's score over the loss of text agreement, of every condition."""
    pairs = results.pairs

    def draw(canvas: Any) -> None:
        grid = canvas.subplots(2, len(pairs), sharex=True, sharey=True, squeeze=False)
        for column, one in zip(grid.T, pairs, strict=True):
            for axis, site in zip(column, SITES, strict=True):
                lines: dict[tuple[str, str], list[Row]] = {}
                for row in one.strengths:
                    if row.facts["site"] == site:
                        key = str(row.facts["method"]), str(row.facts["form"])
                        lines.setdefault(key, []).append(row)
                for (method, form), rows in lines.items():
                    rows.sort(key=lambda row: row.facts["alpha"])
                    axis.plot(
                        [0.0, *(-row.text.change for row in rows)],
                        [0.0, *(row.target.change for row in rows)],
                        "--" if form == "rotate" else "-",
                        marker="o",
                        ms=2.5,
                        lw=1,
                        color=METHOD_COLOURS.get(method, GREY),
                        label=f"{method}, {form}",
                    )
                axis.axvline(MAX_TEXT_LOSS, color=GREY, lw=0.8, ls=":")
                axis.axhline(0, color=GREY, lw=0.8)
            column[0].set_title(f"{one.pair.name} ({one.pair.table})")
            column[1].set_xlabel("loss of text agreement")
        for axis, site in zip(grid[:, 0], SITES, strict=True):
            axis.set_ylabel(f"{site}: change of score")
        lines, labels = grid[0][0].get_legend_handles_labels()
        canvas.legend(lines, labels, loc="outside lower center", ncols=4, frameon=False)

    rows = [
        [
            one.pair.name,
            *(str(row.facts[name]) for name in ("site", "method", "form")),
            f"{row.facts['nats']:g}",
            *_numbers(row.target),
            *_numbers(row.text),
        ]
        for one in pairs
        for row in one.strengths
    ]
    columns = (
        *("pair", "site", "method", "form", "nats"),
        *("score", "low", "high", "text", "low", "high"),
    )
    return drawn(
        "frontier",
        "Every condition at rising divergence on neutral prompts: change of the target's score over "
        "the loss of the cosine of take and prompt. The dotted line is the loss that the tables "
        "allow.",
        Table("frontier", "", columns, rows),
        (2.4 * len(pairs) + 0.6, 5.4),
        draw,
    )


def _line(axis: Any, x: list[float], effects: list[Effect], colour: str, label: str) -> None:
    axis.plot(x, [one.change for one in effects], "o-", color=colour, ms=3, lw=1, label=label)
    axis.fill_between(
        x,
        [one.low for one in effects],
        [one.high for one in effects],
        color=colour,
        alpha=0.15,
        lw=0,
    )


def _numbers(effect: Effect) -> list[str]:
    return [f"{value:.4f}" for value in (effect.change, effect.low, effect.high)]


def method_effects(results: Results) -> Figure:
    """Methods and sites at equal divergence, and random directions."""
    pairs = results.pairs

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
        for axis, one in zip(axes, pairs, strict=True):
            for site_index, site in enumerate(SITES):
                rows = [row for row in one.methods if row.facts["site"] == site]
                for index, row in enumerate(rows):
                    x = 7 * site_index + index
                    e, colour = row.target, METHOD_COLOURS.get(str(row.facts["method"]), GREY)
                    axis.errorbar(
                        x,
                        e.change,
                        [[e.change - e.low], [e.high - e.change]],
                        fmt="o",
                        color=colour,
                        ms=4,
                        capsize=2,
                        label=str(row.facts["method"]) if site_index == 0 else None,
                    )
            for spread in one.random:
                if spread.facts["rule"] == "equal divergence":
                    x = 7 * [str(site) for site in SITES].index(spread.facts["site"]) + 5
                    changes = spread.changes()
                    axis.plot([x] * len(changes), changes, "x", color=GREY, ms=4)
            axis.axhline(0, color=GREY, lw=0.8)
            axis.set_title(one.pair.name)
            axis.set_xticks([2, 8.5], SITES)
        axes[0].set_ylabel("change of the target's score")
        axes[0].legend(frameon=False, fontsize=7)

    rows = [
        [one.pair.name, str(row.facts["site"]), str(row.facts["method"]), *_numbers(row.target)]
        for one in pairs
        for row in one.methods
    ]
    return drawn(
        "methods",
        "Methods and sites at equal divergence on held-out prompts, with 95 % intervals over prompts; "
        "crosses are random directions of equal divergence at the site of the paper's row.",
        Table("methods", "", ("pair", "site", "method", "score", "low", "high"), rows),
        (2.2 * len(pairs) + 0.8, 3.4),
        draw,
    )


def ridge_path(results: Results) -> Figure:
    """Effect along the ridge family, from the MSE probe to DiffMean."""
    pairs = [one for one in results.pairs if one.ridge]

    def ordered(one: PairResult) -> list[Any]:
        return sorted(one.ridge, key=lambda row: RIDGE_PATH.index(str(row.facts["method"])))

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
        for axis, one in zip(axes, pairs, strict=True):
            rows = ordered(one)
            places = [float(index) for index in range(len(rows))]
            _line(axis, places, [row.target for row in rows], SITE_COLOURS[one.pair.site], "target")
            axis.set_xticks(places, [_lambda(str(row.facts["method"])) for row in rows])
            axis.axhline(0, color=GREY, lw=0.8)
            axis.set_title(f"{one.pair.name}, {one.pair.site}")
            axis.set_xlabel("λ, in units of the mean variance within the classes")
        axes[0].set_ylabel("change of the target's score")

    rows = [
        [one.pair.name, one.pair.site, str(row.facts["method"]), *_numbers(row.target)]
        for one in pairs
        for row in ordered(one)
    ]
    return drawn(
        "ridge",
        "The ridge family at equal divergence on neutral prompts: λ = 0 is the MSE probe, and the "
        "far end DiffMean.",
        Table("ridge", "", ("pair", "site", "method", "score", "low", "high"), rows),
        (3.4 * len(pairs) + 0.6, 3.2),
        draw,
    )


def _lambda(method: str) -> str:
    if method == PAPER_METHOD:
        return "0"
    return "∞" if method == "diffmean" else method.partition(":")[2]


def fused(one: PairResult) -> dict[str, Row]:
    """Conditions in which target and source are looked at apart, by name."""
    rows = {
        f"{method}, {site}": one.at(site, method)
        for method in (PAPER_METHOD, DIFFMEAN)
        for site in SITES
    }
    return rows | {str(row.facts["variant"]): row for row in one.words}


def fusion_plane(results: Results) -> Figure:
    """Change of the source's cosine against that of the target's."""
    pairs = results.pairs

    def points(one: PairResult) -> list[tuple[str, Effect, Effect]]:
        rows = [(name, row) for name, row in fused(one).items()]
        return [(name, row.scores["cosine"], row.scores["source cosine"]) for name, row in rows]

    marks = {"both words": "^", "target's word": "v"}

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, len(pairs), sharex=True, sharey=True, squeeze=False)[0]
        for axis, one in zip(axes, pairs, strict=True):
            for name, target, source in points(one):
                axis.errorbar(
                    target.change,
                    source.change,
                    [[source.change - source.low], [source.high - source.change]],
                    [[target.change - target.low], [target.high - target.change]],
                    fmt=marks.get(name, "s" if "attention" in name else "o"),
                    color=METHOD_COLOURS.get(name.partition(",")[0], GREY),
                    ms=5,
                    lw=0.8,
                    label=name,
                )
            axis.axhline(0, color=GREY, lw=0.8)
            axis.axvline(0, color=GREY, lw=0.8)
            axis.set_title(one.pair.name)
            axis.set_xlabel("change towards the target")
        axes[0].set_ylabel("change towards the source")
        canvas.legend(
            *axes[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=3,
            frameon=False,
        )

    rows = [
        [one.pair.name, name, *_numbers(target), *_numbers(source)]
        for one in pairs
        for name, target, source in points(one)
    ]
    columns = ("pair", "condition", "target", "low", "high", "source", "low", "high")
    return drawn(
        "fusion",
        "Fusion and replacement: change of CLAP's cosines with the target's and with the source's "
        "text, by two methods at equal divergence (both sites) and by words in the prompt. Fusion is "
        "to the right without going down; replacement goes down.",
        Table("fusion", "", columns, rows),
        (2.2 * len(pairs) + 0.8, 3.5),
        draw,
    )


def divergence_curves(results: Results) -> Figure:
    """Divergence over α of the paper's method, at both sites."""
    pairs = results.pairs
    shown = {
        (one.pair.name, site): results.curves[str(one.at(site).facts["variant"]), "+"]
        for one in pairs
        for site in SITES
    }

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
        for axis, one in zip(axes, pairs, strict=True):
            for site in SITES:
                curve = shown[one.pair.name, site]
                axis.loglog(
                    curve.strengths,
                    curve.divergences,
                    "o-",
                    color=SITE_COLOURS[site],
                    ms=3,
                    lw=1,
                    label=site,
                )
            axis.set_title(one.pair.name)
            axis.set_xlabel("α")
        axes[0].set_ylabel("nats per frame")
        axes[0].legend(frameon=False)

    rows = [
        [pair, site, f"{alpha:g}", f"{nats:.5f}"]
        for (pair, site), curve in shown.items()
        for alpha, nats in zip(curve.strengths, curve.divergences, strict=True)
    ]
    return drawn(
        "divergence",
        "Divergence of the predictions from the plain ones over α, in every layer, by the paper's "
        "method.",
        Table("divergence", "", ("pair", "site", "α", "nats per frame"), rows),
        (2.2 * len(pairs) + 0.8, 2.8),
        draw,
    )
