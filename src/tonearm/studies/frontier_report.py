"""Page and figure of the frontier study."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tonearm.files.atomic import atomic_write

if TYPE_CHECKING:
    from tonearm.studies.frontier import Point

PAGE, FIGURE = "frontier.md", "frontier.png"
MEASURES = {"tempo": "onset rate", "brightness": "spectral centroid"}
BASELINE = "one-to-all"


def write_report(
    points: Sequence["Point"], plain: Mapping[str, float], protocol: str, folder: Path
) -> Path:
    """Write the page and its figure.

    Args:
        points: of all candidates.
        plain: means of the unsteered takes, by measure.
        protocol: checkpoint, prompts, seeds and evaluators, in one sentence.
        folder: of both files.

    Returns:
        The path of the page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    draw(points, folder / FIGURE)
    page = folder / PAGE
    with atomic_write(page) as aside:
        aside.write_text(text(points, plain, protocol), encoding="utf-8")
    return page


def text(points: Sequence["Point"], plain: Mapping[str, float], protocol: str) -> str:
    """The page as Markdown."""
    lines = [
        "# Effect against damage, by the way of injection",
        "",
        "This page is written by `python -m tonearm.studies.frontier --docs docs/studies`.",
        "",
        protocol,
        "A push is the norm of what is added, summed over the layers where it is added, so that "
        "candidates are compared at equal force.",
        "Effect is the change of the mean of the attribute's measure; faulty the share of takes "
        "with a fault; pulse the mean pulse clarity over that of the unsteered takes; text the "
        "change of the CLAP score of take and prompt; KL the divergence of the predictions from "
        "those without steering in nats per frame, teacher-forced on the unsteered takes' codes.",
        f"Unsteered: faulty {plain['faulty']:.0%}, pulse clarity {plain['pulse_clarity']:.2f}, "
        f"CLAP score {plain['clap_score']:.2f}.",
        "",
        f"![Effect and pulse clarity of every candidate]({FIGURE})",
        "",
    ]
    for attribute in dict.fromkeys(point.attribute for point in points):
        for push in sorted({point.push for point in points}):
            lines += _table(
                [p for p in points if p.attribute == attribute and p.push == push], attribute, push
            )
    return "\n".join(lines)


def _table(points: Sequence["Point"], attribute: str, push: float) -> list[str]:
    """One table: a row per candidate, both signs side by side."""
    lines = [
        f"## {attribute.capitalize()}, push {push:g}, by {MEASURES[attribute]}",
        "",
        "| candidate | + effect | faulty | pulse | text | KL | - effect | faulty | pulse | text | KL |",
        "| --- |" + " --- |" * 10,
    ]
    for candidate in dict.fromkeys(point.candidate for point in points):
        by_sign = {p.sign: p for p in points if p.candidate == candidate}
        cells = [cell for sign in (1, -1) for cell in _cells(by_sign[sign])]
        name = f"**{candidate}**" if candidate == BASELINE else candidate
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return [*lines, ""]


def _cells(point: "Point") -> list[str]:
    return [
        f"{point.effect:+.0%}",
        f"{point.faulty:.0%}",
        f"{point.pulse:.2f}",
        f"{-point.text_loss:+.3f}",
        f"{point.divergence:.2f}",
    ]


def draw(points: Sequence["Point"], path: Path) -> None:
    """Draw pulse clarity against the size of the effect, one panel per attribute and sign."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    attributes = list(dict.fromkeys(point.attribute for point in points))
    candidates = list(dict.fromkeys(point.candidate for point in points))
    colours = dict(
        zip(candidates, pyplot.get_cmap("turbo")(np.linspace(0, 1, len(candidates))), strict=True)
    )
    figure, axes = pyplot.subplots(
        len(attributes), 2, figsize=(10, 4 * len(attributes)), sharey=True, squeeze=False
    )
    for row, attribute in zip(axes, attributes, strict=True):
        for axis, sign in zip(row, (1, -1), strict=True):
            for candidate in candidates:
                found = sorted(
                    (
                        p
                        for p in points
                        if (p.attribute, p.candidate, p.sign) == (attribute, candidate, sign)
                    ),
                    key=lambda p: p.push,
                )
                axis.plot(
                    [100 * p.effect for p in found],
                    [p.pulse for p in found],
                    "o-",
                    color=colours[candidate],
                    linewidth=2.5 if candidate == BASELINE else 1,
                    markersize=4,
                    label=candidate,
                )
            axis.axhline(0.9, color="0.6", linestyle=":")
            axis.set_xlabel(f"{attribute} {sign:+d}: change of {MEASURES[attribute]}, %")
    for row in axes:
        row[0].set_ylabel("pulse clarity, steered over plain")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="center right", fontsize=8)
    figure.tight_layout(rect=(0, 0, 0.76, 1))
    with atomic_write(path) as aside:
        figure.savefig(aside, format="png", dpi=110)
    pyplot.close(figure)
