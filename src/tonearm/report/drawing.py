"""Drawing of a report's figures as SVG."""

import io
from collections.abc import Callable

from tonearm.report.study_page import Figure
from tonearm.report.table import Table


def drawn(
    name: str, caption: str, data: Table, size: tuple[float, float], draw: Callable[..., None]
) -> Figure:
    """Draw a figure; the text of the SVG stays text.

    Args:
        name: of files.
        caption: one or more sentences.
        data: numbers of the figure.
        size: width and height in inches.
        draw: fills a matplotlib Figure.
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
