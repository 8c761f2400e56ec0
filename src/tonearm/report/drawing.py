"""Figures of reports, drawn by matplotlib as SVG."""

import io
from collections.abc import Callable
from typing import Any

from tonearm.report.study_page import Figure
from tonearm.report.table import Table


def drawn(
    name: str, caption: str, data: Table, size: tuple[float, float], draw: Callable[[Any], None]
) -> Figure:
    """Draw a figure; the text of the SVG stays text, and the same numbers give the same file.

    Args:
        name: of its files.
        caption: one or more sentences.
        data: its numbers.
        size: width and height in inches.
        draw: fills a matplotlib figure.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "tonearm",
        "font.size": 9,
        "axes.unicode_minus": False,  # the sign is lost in some browsers' fonts
    }
    with mpl.rc_context(style):
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas)
        file = io.StringIO()
        canvas.savefig(file, format="svg", metadata={"Date": None})
    return Figure(name, caption, file.getvalue(), data)
