"""Results of probes as files: a table, a figure, and a vector for each site and label.

probe.json                  counts, scores and protocol, written last
scores.png                  the scores over the layers, a panel per site
vectors/SITE/LABEL.safetensors
"""

import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tonearm.files.atomic import atomic_write
from tonearm.methods.base import statistics_text
from tonearm.methods.corpus_probes import Probes
from tonearm.report.table import Table
from tonearm.steering import save_vector

RESULT, FIGURE, VECTORS = "probe.json", "scores.png", "vectors"
MAX_NAME = 80  # characters of a file's name
HELD_OUT = ("accuracy", "auc")  # balanced accuracy, and area under the ROC curve
MEAN_COLOUR, LABEL_COLOUR = "#c2571a", "#8a8f98"


def save_probes(probes: Probes, folder: Path) -> Path:
    """Write all files; each of them whole or not at all.

    Args:
        probes: to save.
        folder: is made where it is absent; other files in it are kept.

    Returns:
        Path of probe.json.
    """
    files: dict[str, dict[str, str]] = {}
    for site, of_site in probes.vectors.items():
        names = file_names(of_site)
        files[site] = {label: f"{VECTORS}/{site}/{names[label]}.safetensors" for label in of_site}
        for label, vector in of_site.items():
            save_vector(vector, folder / files[site][label])
    if probes.score_names:
        with atomic_write(folder / FIGURE) as temporary:
            temporary.write_bytes(draw_scores(probes))
    content = to_dict(probes) | {"vectors": files}
    with atomic_write(folder / RESULT) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text, encoding="utf-8")
    return folder / RESULT


def to_dict(probes: Probes) -> dict[str, Any]:
    """Protocol, counts and scores as plain data."""
    info = next(iter(next(iter(probes.vectors.values())).values())).info
    return {
        "kind": "tonearm probes",
        "checkpoint": info.checkpoint,
        "fingerprint": info.fingerprint,
        "method": info.method,
        "pooling": info.pooling,
        "segment_seconds": info.segment_seconds,
        "text": info.text,
        "labels": {
            label: {"segments": count.segments, "tracks": count.tracks}
            for label, count in probes.counts.items()
        },
        "scores": {
            score: {site: probes.scores(site, score) for site in probes.vectors}
            for score in probes.score_names
        },
        "statistics": {
            site: {label: dict(vector.info.statistics) for label, vector in of_site.items()}
            for site, of_site in probes.vectors.items()
        },
        "best_layers": {
            site: {label: vector.info.best_layer for label, vector in of_site.items()}
            for site, of_site in probes.vectors.items()
        },
        "skipped": [one.to_dict() for one in probes.skipped],
    }


def shown_scores(probes: Probes) -> tuple[str, ...]:
    """Names of the held-out scores, or of all where the method has none."""
    names = probes.score_names
    return tuple(name for name in HELD_OUT if name in names) or names


def label_table(probes: Probes) -> Table:
    """Best layer of each label and site, with its held-out score beside the permutation null."""
    return Table(
        "probe-labels",
        "Each label against the others, at its best layer.",
        ("label", "site", "best layer", "direction"),
        [
            [
                label,
                site,
                "–" if vector.info.best_layer is None else str(vector.info.best_layer),
                statistics_text(vector.info.statistics) or "not tested",
            ]
            for site, of_site in probes.vectors.items()
            for label, vector in of_site.items()
        ],
    )


def score_table(probes: Probes) -> Table:
    """Mean scores over the labels: a row per layer, a column per score and site."""
    columns = [(score, site) for score in shown_scores(probes) for site in probes.vectors]
    values = [probes.mean_scores(site, score) for score, site in columns]
    layers = range(len(values[0]) if values else 0)
    return Table(
        "probe-scores",
        "Mean over the labels, each against the others.",
        ("layer", *(f"{score}, {site}" for score, site in columns)),
        [[str(layer), *(f"{column[layer]:.3f}" for column in values)] for layer in layers],
    )


def draw_scores(probes: Probes) -> bytes:
    """Draw the scores over the layers: a line per label, and the mean; PNG."""
    from matplotlib.figure import Figure

    scores, sites = shown_scores(probes), tuple(probes.vectors)
    canvas = Figure(figsize=(4 * len(sites), 2.8 * len(scores)), layout="constrained", dpi=150)
    grid = canvas.subplots(len(scores), len(sites), sharex=True, sharey="row", squeeze=False)
    for row, score in zip(grid, scores, strict=True):
        for axis, site in zip(row, sites, strict=True):
            for values in probes.scores(site, score).values():
                axis.plot(values, color=LABEL_COLOUR, lw=0.8, alpha=0.7)
            mean = probes.mean_scores(site, score)
            axis.plot(mean, "o-", color=MEAN_COLOUR, ms=3, label="mean over labels")
            axis.grid(alpha=0.3)
        row[0].set_ylabel(score.replace("_", " "))
    for axis, site in zip(grid[0], sites, strict=True):
        axis.set_title(site)
    for axis in grid[-1]:
        axis.set_xlabel("layer")
    grid[0][0].legend(frameon=False)
    image = io.BytesIO()
    canvas.savefig(image, format="png", metadata={"Software": None})
    return image.getvalue()


def file_names(labels: Iterable[str]) -> dict[str, str]:
    """A different name of a file for each label, of letters, digits, dots and hyphens."""
    found: dict[str, str] = {}
    for label in labels:
        stem = re.sub(r"[^\w.-]+", "-", label, flags=re.ASCII).strip("-.")[:MAX_NAME] or "label"
        name, number = stem, 2
        while name.lower() in (taken.lower() for taken in found.values()):
            name, number = f"{stem}-{number}", number + 1
        found[label] = name
    return found
