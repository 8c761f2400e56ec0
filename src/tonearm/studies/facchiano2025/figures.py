"""Figures of the study as SVG, each with its numbers."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np

from tonearm.audio import Clip
from tonearm.report.drawing import drawn
from tonearm.report.study_page import Figure
from tonearm.report.table import Table
from tonearm.studies.equal_divergence import Curve
from tonearm.studies.facchiano2025.analysis import Results
from tonearm.studies.facchiano2025.design import PAIR, SIGNS
from tonearm.studies.facchiano2025.pairs import Leakage

COLOURS = {"+": "#c2571a", "-": "#2f6fb3"}
POLES = {"tempo": {"+": "fast", "-": "slow"}, "brightness": {"+": "bright", "-": "dark"}}
CONTOURS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the highest density
UNITS = {"tempo": "BPM (bundled tracker)", "brightness": "spectral centroid"}


def all_figures(results: Results) -> dict[str, Figure]:
    """Draw every figure.

    Args:
        results: of the study.

    Returns:
        Figures by the number in the paper, or by name where it has none.
    """
    return {
        "2": activation_planes(results),
        "4": layer_scan(results),
        "5": strengths(results),
        "6": layer_cosines(results),
        "7": distances(results),
        "8": set_sizes(results),
        "divergence": divergence_curves(results.curves),
        "grid": grid(results),
        "leakage": leakage(results.leakage),
    }


def activation_planes(results: Results) -> Figure:
    """Fig. 2: prompt activations of the best layers, with densities."""
    chosen = [(pair, results.best[pair]) for pair in PAIR.values()]

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, len(chosen), squeeze=False)[0]
        for axis, (pair, layer) in zip(axes, chosen, strict=True):
            plane = results.geometry[pair].planes[layer]
            sides = zip(SIGNS, plane.densities, (plane.positive, plane.negative), strict=True)
            for sign, density, points in sides:
                levels = [share * float(np.max(density)) for share in CONTOURS]
                axis.contour(
                    plane.x, plane.y, density, levels, colors=COLOURS[sign], linewidths=0.8
                )
                axis.plot(*points.T, ".", color=COLOURS[sign], ms=3, label=POLES[pair][sign])
            axis.set_title(f"{pair}, layer {layer}: d' {plane.separation:.1f}")
            axis.set_xlabel(f"component 1 ({plane.variance[0]:.0%} of the variance)")
            axis.set_ylabel(f"component 2 ({plane.variance[1]:.0%})")
            axis.legend(frameon=False)

    rows = [
        [pair, str(layer), f"{plane.separation:.3f}", f"{plane.in_plane:.3f}"]
        for pair, geometry in results.geometry.items()
        for layer, plane in enumerate(geometry.planes)
    ]
    return drawn(
        "fig2-activations",
        "Activations at the EOS token of both prompt sets on their first two principal components, "
        "with kernel densities, at the best layer; d' along DiffMean in the whole space.",
        Table("fig2", "", ("pair", "layer", "d' along DiffMean", "d' in the plane"), rows),
        (8, 3.6),
        draw,
    )


def layer_scan(results: Results) -> Figure:
    """Fig. 4: effect of every layer's direction at equal divergence."""

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, 2)
        for axis, (pair, effects) in zip(axes, results.scan.items(), strict=True):
            for sign in SIGNS:
                found = [one for one in effects if one.sign == sign]
                _line(
                    axis,
                    [one.layer for one in found],
                    [(one.effect.change, one.effect.low, one.effect.high) for one in found],
                    sign,
                    POLES[pair][sign],
                )
            axis.set_title(f"{pair}: best layer {results.best[pair]}")
            axis.set_xlabel("layer whose direction is added in all layers")
            axis.set_ylabel(f"change of {UNITS[pair]}, %")
            axis.legend(frameon=False)

    rows = [
        [
            pair,
            str(one.layer),
            one.sign,
            f"{one.strength:g}",
            *(f"{x:.4f}" for x in (one.effect.change, one.effect.low, one.effect.high)),
            str(one.effect.n),
        ]
        for pair, effects in results.scan.items()
        for one in effects
    ]
    columns = ("pair", "layer", "sign", "λ", "change", "low", "high", "n")
    return drawn(
        "fig4-layers",
        "Change by each layer's direction in all layers, at equal divergence, with "
        "95 % intervals over prompts.",
        Table("fig4", "", columns, rows),
        (8, 3.6),
        draw,
    )


def strengths(results: Results) -> Figure:
    """Fig. 5: effect over λ, with the divergence on a second axis."""

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(2, 2)
        for column, pair in enumerate(PAIR.values()):
            for sign in SIGNS:
                rows = [row for row, _ in results.strengths if _is(row.facts, pair, sign)]
                points = [(r.effect.change, r.effect.low, r.effect.high) for r in rows]
                label = POLES[pair][sign]
                _line(axes[0, column], [r.facts["strength"] for r in rows], points, sign, label)
                _line(axes[1, column], [r.divergence or 0 for r in rows], points, sign, label)
            axes[0, column].set_title(pair)
            axes[0, column].set_xlabel("λ")
            axes[1, column].set_xlabel("divergence, nats per frame")
            for axis in axes[:, column]:
                _logarithmic(axis)
                axis.set_ylabel(f"change of {UNITS[pair]}, %")
                axis.legend(frameon=False)

    rows = [
        [
            row.facts["pair"],
            row.facts["sign"],
            f"{row.facts['strength']:g}",
            f"{row.divergence:.4f}" if row.divergence is not None else "",
            *(f"{x:.4f}" for x in (row.effect.change, row.effect.low, row.effect.high)),
            f"{row.second.change:.4f}",
        ]
        for row, _ in results.strengths
    ]
    columns = ("pair", "sign", "λ", "nats per frame", "change", "low", "high", "second measure")
    return drawn(
        "fig5-strengths",
        "Change over λ, and over the divergence that it causes, one-to-all from the "
        "best layer, with 95 % intervals over prompts.",
        Table("fig5", "", columns, rows),
        (8, 6.4),
        draw,
    )


def layer_cosines(results: Results) -> Figure:
    """Fig. 6: cosines between the layers' directions, with the blocks."""
    pairs = list(PAIR.values())

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, len(pairs), squeeze=False)[0]
        for axis, pair in zip(axes, pairs, strict=True):
            geometry = results.geometry[pair]
            image = axis.imshow(geometry.cosines, vmin=-1, vmax=1, cmap="RdBu_r")
            labels = geometry.blocks.labels
            for i in range(1, len(labels)):
                if labels[i] != labels[i - 1]:
                    axis.axhline(i - 0.5, color="black", lw=1)
                    axis.axvline(i - 0.5, color="black", lw=1)
            axis.set_title(f"{pair}: silhouette {geometry.blocks.silhouette:.2f}")
            axis.set_xlabel("layer")
            axis.set_ylabel("layer")
        canvas.colorbar(image, ax=axes, label="cosine")

    rows = [
        [pair, str(i), str(j), f"{value:.4f}"]
        for pair in pairs
        for (i, j), value in np.ndenumerate(results.geometry[pair].cosines)
    ]
    return drawn(
        "fig6-cosines",
        "Cosines between the directions of the layers; lines separate the blocks that clustering "
        "finds.",
        Table("fig6", "", ("pair", "layer", "layer", "cosine"), rows),
        (8, 3.6),
        draw,
    )


def distances(results: Results) -> Figure:
    """Fig. 7: Fréchet distance, text agreement and faulty takes over λ."""
    readers = {
        "FAD, bundled CLAP": lambda row, distance: distance.fad,
        "change of the CLAP score": lambda row, distance: row.text.change,
        "faulty takes": lambda row, distance: row.faulty.value,
    }

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(len(readers), 2, sharex=True)
        for column, pair in enumerate(PAIR.values()):
            axes[0, column].set_title(pair)
            axes[-1, column].set_xlabel("λ")
            for axis, (label, read) in zip(axes[:, column], readers.items(), strict=True):
                for sign in SIGNS:
                    points = [
                        (row.facts["strength"], value)
                        for row, distance in results.strengths
                        if _is(row.facts, pair, sign) and (value := read(row, distance)) is not None
                    ]
                    if points:
                        axis.plot(
                            *zip(*points, strict=True),
                            "o-",
                            color=COLOURS[sign],
                            ms=3,
                            label=POLES[pair][sign],
                        )
                _logarithmic(axis)
                axis.set_ylabel(label)
            axes[0, column].legend(frameon=False)

    rows = [
        [
            row.facts["pair"],
            row.facts["sign"],
            f"{row.facts['strength']:g}",
            _number(distance.fad),
            _number(distance.kad),
            f"{row.text.change:.4f}",
            f"{row.faulty.value:.4f}",
            f"{row.pulse.change:.4f}",
        ]
        for row, distance in results.strengths
    ]
    columns = ("pair", "sign", "λ", "FAD", "KAD", "CLAP score", "faulty", "pulse clarity")
    return drawn(
        "fig7-quality",
        "Fréchet distance to unsteered takes of other seeds, change of the CLAP score of take and "
        "prompt, and share of takes with a fault, over λ.",
        Table("fig7", "", columns, rows),
        (8, 7),
        draw,
    )


def set_sizes(results: Results) -> Figure:
    """Fig. 8: effect over the number of prompts, mean and deviation over draws."""

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, 2)
        for axis, pair in zip(axes, PAIR.values(), strict=True):
            for sign in SIGNS:
                found = [one for one in results.sizes if (one.pair, one.sign) == (pair, sign)]
                spread = [one.deviation if isfinite(one.deviation) else 0.0 for one in found]
                points = [
                    (one.mean, one.mean - d, one.mean + d)
                    for one, d in zip(found, spread, strict=True)
                ]
                _line(axis, [one.size for one in found], points, sign, POLES[pair][sign])
            _logarithmic(axis)
            axis.set_title(pair)
            axis.set_xlabel("prompts per side")
            measure = "onset rate" if pair == "tempo" else "spectral centroid"
            axis.set_ylabel(f"change of {measure}, %")
            axis.legend(frameon=False)

    rows = [
        [one.pair, str(one.size), one.sign, str(i), f"{change:.4f}"]
        for one in results.sizes
        for i, change in enumerate(one.changes)
    ]
    return drawn(
        "fig8-prompts",
        "Change by directions of few prompts; mean and standard deviation over draws.",
        Table("fig8", "", ("pair", "prompts", "sign", "draw", "change"), rows),
        (8, 3.6),
        draw,
    )


def spectrograms(clips: Mapping[str, Clip]) -> Figure:
    """Fig. 9: mel spectrograms of takes of one seed, at one loudness.

    Args:
        clips: by title; the first is without steering.
    """
    import librosa

    bands = 80
    levels = {
        title: librosa.power_to_db(
            librosa.feature.melspectrogram(y=clip.mono, sr=clip.sample_rate, n_mels=bands), ref=1.0
        )
        for title, clip in clips.items()
    }
    top = max(float(level.max()) for level in levels.values())

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, len(levels), sharey=True, squeeze=False)[0]
        for axis, (title, level) in zip(axes, levels.items(), strict=True):
            extent = (0, clips[title].seconds, 0, bands)
            image = axis.imshow(
                level, origin="lower", aspect="auto", extent=extent, vmin=top - 70, vmax=top
            )
            axis.set_title(title)
            axis.set_xlabel("s")
        rate = max(clip.sample_rate for clip in clips.values())
        centres = librosa.mel_frequencies(n_mels=bands, fmax=rate / 2)
        ticks = range(0, bands, 20)
        axes[0].set_yticks(ticks, [f"{centres[tick]:.0f}" for tick in ticks])
        axes[0].set_ylabel("Hz")
        canvas.colorbar(image, ax=axes, label="dB")

    rows = [
        [title, str(band), f"{value:.2f}"]
        for title, level in levels.items()
        for band, value in enumerate(level.mean(1))
    ]
    return drawn(
        "fig9-spectrograms",
        "Takes of one prompt and seed without steering, bright and dark, at one loudness.",
        Table("fig9", "", ("take", "mel band", "mean level, dB"), rows),
        (9, 3),
        draw,
    )


def divergence_curves(curves: Mapping[tuple[str, str], Curve]) -> Figure:
    """Divergence over λ of every variant."""
    known = dict(curves)

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, 2, sharey=True)
        for axis, pair in zip(axes, PAIR.values(), strict=True):
            for (variant, sign), curve in known.items():
                if variant.startswith(f"{pair}, layer"):
                    axis.plot(curve.strengths, curve.divergences, color=COLOURS[sign], lw=0.8)
                if variant.startswith("random") and variant.endswith(pair):
                    axis.plot(curve.strengths, curve.divergences, color="grey", lw=0.8, ls=":")
            _logarithmic(axis)
            axis.set_yscale("log")
            axis.set_title(pair)
            axis.set_xlabel("λ")
        axes[0].set_ylabel("divergence, nats per frame")

    rows = [
        [variant, sign, f"{strength:g}", f"{value:.5f}"]
        for (variant, sign), curve in known.items()
        for strength, value in zip(curve.strengths, curve.divergences, strict=True)
    ]
    return drawn(
        "divergence",
        "Mean KL divergence of steered from plain predictions, teacher-forced on plain takes: every "
        "layer's direction, and random directions (dotted).",
        Table("divergence", "", ("variant", "sign", "λ", "nats per frame"), rows),
        (8, 3.6),
        draw,
    )


def grid(results: Results) -> Figure:
    """Section 6: both attributes at once."""
    factors = sorted({row.facts["tempo_factor"] for row, _ in results.grid})
    cells = {
        (row.facts["tempo_factor"], row.facts["brightness_factor"]): (
            row.effect.change,
            centroid.change,
            row.faulty.value,
        )
        for row, centroid in results.grid
    }
    titles = ("BPM, bundled tracker, %", "spectral centroid, %", "faulty takes, %")

    def draw(canvas: Any) -> None:
        axes = canvas.subplots(1, 3)
        for index, (axis, title) in enumerate(zip(axes, titles, strict=True)):
            values = 100 * np.array([[cells[t, b][index] for t in factors] for b in factors])
            limit = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
            low = 0.0 if index == 2 else -limit
            axis.imshow(
                values, origin="lower", vmin=low, vmax=limit, cmap="Greys" if low == 0 else "RdBu_r"
            )
            for (y, x), value in np.ndenumerate(values):
                shown = f"{value:.0f}" if isfinite(value) else "–"
                dark = abs(value) > 0.6 * limit
                colour = "white" if dark else "black"
                axis.text(x, y, shown, ha="center", va="center", fontsize=7, color=colour)
            ticks = range(len(factors))
            axis.set_xticks(ticks, [f"{f:+g}" for f in factors])
            axis.set_yticks(ticks, [f"{f:+g}" for f in factors])
            axis.set_xlabel("tempo")
            axis.set_title(title)
        axes[0].set_ylabel("brightness")

    rows = [
        [f"{t:g}", f"{b:g}", *(f"{value:.4f}" for value in cells[t, b])]
        for t in factors
        for b in factors
    ]
    return drawn(
        "grid",
        "Two vectors at once, in units of their strengths of equal divergence: change of tempo "
        "and centroid, and share of takes with a fault.",
        Table(
            "grid", "", ("tempo", "brightness", "tempo change", "centroid change", "faulty"), rows
        ),
        (11, 4),
        draw,
    )


def leakage(found: Leakage) -> Figure:
    """Section 6: every vector against every measure."""

    def draw(canvas: Any) -> None:
        axis = canvas.subplots()
        limit = float(np.nanmax(np.abs(found.values))) if np.isfinite(found.values).any() else 1.0
        image = axis.imshow(found.values, vmin=-limit, vmax=limit, cmap="RdBu_r", aspect="auto")
        for (y, x), certain in np.ndenumerate(found.certain):
            if certain:
                axis.plot(x, y, "k.", ms=4)
        axis.set_xticks(range(len(found.columns)), found.columns, rotation=60, ha="right")
        axis.set_yticks(range(len(found.rows)), found.rows)
        canvas.colorbar(image, label="change / deviation of plain takes")

    rows = [
        [row, column, f"{found.values[y, x]:.4f}", str(bool(found.certain[y, x]))]
        for y, row in enumerate(found.rows)
        for x, column in enumerate(found.columns)
    ]
    return drawn(
        "leakage",
        "Every vector and sign, and random directions of equal divergence at +, against every "
        "measure, as change over the standard deviation of plain takes; a dot where the false discovery rate over all cells is below 5 %.",
        Table("leakage", "", ("vector", "measure", "change", "certain"), rows),
        (9, 9),
        draw,
    )


def _line(
    axis: Any,
    x: Sequence[float],
    points: Sequence[tuple[float, float, float]],
    sign: str,
    label: str,
) -> None:
    """Changes in per cent with error bars."""
    values = 100 * np.array(points, dtype=float).reshape(-1, 3)
    bars = np.abs(values[:, 1:] - values[:, :1]).T
    axis.errorbar(
        x, values[:, 0], bars, fmt="o-", color=COLOURS[sign], ms=3, lw=1, capsize=2, label=label
    )
    axis.axhline(0, color="grey", lw=0.6)


def _logarithmic(axis: Any) -> None:
    """Logarithmic x, with labels at powers of ten alone: others overlap on a short axis.

    An axis without a finite point stays linear: it has no range.
    """
    from matplotlib.ticker import NullFormatter

    if not np.isfinite(axis.dataLim.minposx):
        return
    axis.set_xscale("log")
    axis.xaxis.set_minor_formatter(NullFormatter())


def _is(facts: Mapping[str, Any], pair: str, sign: str) -> bool:
    return (facts["pair"], facts["sign"]) == (pair, sign)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
