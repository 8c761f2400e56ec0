"""Figure of the CLAP model's confusion matrices."""

from pathlib import Path

import matplotlib
import numpy as np

from recipes.evaluators.captions import ATTRIBUTES
from tonearm.files.atomic import atomic_write

matplotlib.use("Agg")
import matplotlib.pyplot as plt

TITLES = {
    "rendered": "rendered",
    "decoded": "decoded",
    "takes": "pocket's takes (row: word in the prompt)",
}


def draw_confusions(confusions: dict, path: Path) -> None:
    """Draw the confusions of genre (above) and lead instrument (below) in per cent of a row.

    Rows are the truth, columns the predictions.
    """
    figure, axes = plt.subplots(2, len(TITLES), figsize=(14, 9.5), layout="constrained")
    for row, attribute in enumerate(("genre", "lead")):
        for axis, (copy, title) in zip(axes[row], TITLES.items(), strict=True):
            counts = np.array(confusions[copy][attribute])
            percent = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
            axis.imshow(percent, cmap="Blues", vmin=0, vmax=100)
            for (i, j), value in np.ndenumerate(percent):
                if value >= 0.5:
                    axis.text(
                        j,
                        i,
                        f"{value:.0f}",
                        ha="center",
                        va="center",
                        fontsize=8,
                        color="white" if value > 60 else "black",
                    )
            values = list(ATTRIBUTES[attribute])
            axis.set_xticks(range(len(values)), values, rotation=45, ha="right", fontsize=8)
            axis.set_yticks(range(len(values)), values, fontsize=8)
            axis.set_title(f"{attribute}, {title} (n = {counts.sum()})", fontsize=10)
            axis.spines[:].set_visible(False)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=75, format="png")
    plt.close(figure)
