"""Figures, tables and claims of the clusters and probes, in the order of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm.report.drawing import drawn
from tonearm.report.study_page import Figure, Section
from tonearm.report.table import Table
from tonearm.studies.panda2025.structure_results import (
    INDICES,
    Index,
    Probe,
    SiteStructure,
    Structure,
    TaskStructure,
)

COLOURS = {"ari": "#c2571a", "ami": "#2f6fb3", "nmi": "#3f8f5b"}
SITE_COLOURS = {"residual": "#c2571a", "attention": "#2f6fb3"}
SITE_NAMES = {"residual": "residual stream", "attention": "attention outputs"}
NUMBERS = {"residual": ("1", "3"), "attention": ("2", "4")}  # of the paper's figures
COLUMNS = 3  # panels in a row
MOST_TICKS = 20  # labels that are written at a matrix


@dataclass(frozen=True)
class BestClusters:
    """Clusters of one concept and site at their best layer.

    Attributes:
        task: name of the concept.
        site: of the activations.
        layer: with the highest ARI, of `layers`.
        layers: L.
        ari: mean over the seeds.
        bound: ARI that 5 % of the permutations exceed in any layer.
    """

    task: str
    site: str
    layer: int
    layers: int
    ari: float
    bound: float

    @property
    def is_found(self) -> bool:
        """Whether the clusters agree with the labels beyond chance."""
        return self.ari > self.bound

    @property
    def is_middle(self) -> bool:
        """Whether the layer is in the middle third."""
        return self.layers / 3 <= self.layer < 2 * self.layers / 3


@dataclass(frozen=True)
class Separation:
    """Held-out accuracy of one concept's probe at one site, at its best layer.

    Attributes:
        task: name of the concept.
        site: of the activations.
        layer: with the highest accuracy.
        accuracy: balanced.
        chance: 1 / k.
        bound: accuracy that 5 % of the permutations exceed in any layer.
    """

    task: str
    site: str
    layer: int
    accuracy: float
    chance: float
    bound: float

    @property
    def is_found(self) -> bool:
        """Whether the labels are predicted beyond chance."""
        return self.accuracy > self.bound


@dataclass(frozen=True)
class StructureClaims:
    """Numbers of the claims.

    Attributes:
        clusters: of every concept and site: do concepts cluster, and in middle layers?
        probes: of every concept and site with a probe: do linear probes separate concepts?
    """

    clusters: tuple[BestClusters, ...]
    probes: tuple[Separation, ...]


def structure_claims(results: Structure) -> StructureClaims:
    """Collect the numbers of the claims.

    Args:
        results: of the study.
    """
    cells = [(task, site, found) for task in results.tasks for site, found in task.sites.items()]
    return StructureClaims(
        clusters=tuple(
            BestClusters(
                task=task.name,
                site=site,
                layer=found.best_layer,
                layers=len(found.layers),
                ari=found.best.raw["ari"].mean,
                bound=found.best_bound,
            )
            for task, site, found in cells
        ),
        probes=tuple(
            Separation(
                task=task.name,
                site=site,
                layer=found.probe.best_layer,
                accuracy=max(found.probe.accuracy),
                chance=task.chance,
                bound=found.probe.null_bound,
            )
            for task, site, found in cells
            if found.probe is not None
        ),
    )


def structure_sections(results: Structure) -> list[Section]:
    """Write the sections of clusters and probes.

    Args:
        results: of the study.
    """
    sites = list(results.tasks[0].sites)
    probed = [task for task in results.tasks if all(one.probe for one in task.sites.values())]
    clusters = Section(
        "Clusters (fig. 1 to 4)",
        [
            "k-means, which does not use the labels, finds as many clusters as there are labels. "
            "The agreement of both partitions shows whether a musical concept is a main direction "
            "of variation of the activations. NMI is above 0 by chance, and most for many labels; "
            "ARI and AMI are corrected for chance. Layers are counted from 0.",
        ],
        [
            *(indices_figure(results, site) for site in sites),
            *(jaccard_figure(results, site) for site in sites),
        ],
        [summary_table(results), protocol_table(results)],
    )
    probes = Section(
        "Linear probes (III, IV-B)",
        [
            "A linear discriminant with Ledoit-Wolf shrinkage predicts the label of rows of other "
            "folds. A concept can be linearly readable without being a cluster: a probe finds "
            "directions of little variance, too.",
        ],
        [accuracy_figure(probed)] if probed else (),
        [probe_table(results)],
    )
    return [clusters, probes]


def indices_figure(results: Structure, site: str) -> Figure:
    """Fig. 1 or 2: agreement of clusters and labels over the layers."""
    tasks = results.tasks

    def draw(canvas: Any) -> None:
        for axis, task in zip(_panels(canvas, len(tasks)), tasks, strict=True):
            found = task.sites[site]
            for name in INDICES:
                _index_lines(axis, found, name)
            axis.axvline(found.best_layer, color="grey", lw=0.8, ls=":")
            axis.set_title(f"{task.name}: k = {len(task.labels)}, n = {task.n}")
            axis.set_xlabel("layer")
            axis.axhline(0, color="grey", lw=0.6)
        canvas.axes[0].set_ylabel("agreement")
        _legend(canvas)

    rows = [
        [task.name, kind, name, str(layer), *_index_cells(index)]
        for task in tasks
        for kind in ("raw", "whitened")
        for name in INDICES
        for layer, index in enumerate(task.sites[site].series(name, kind == "whitened"))
    ]
    columns = ("concept", "rows", "index", "layer", "mean", "low", "high", "null", "null bound")
    number = NUMBERS[site][0]
    return drawn(
        f"fig{number}-indices-{site}",
        f"Fig. {number}: agreement of k-means clusters and labels over the layers, "
        f"{SITE_NAMES[site]}. Lines are means over the seeds, with their range; dashed lines are "
        "ARI of whitened rows. Bands reach from the mean of the null to the value that 5 % of the "
        "permutations exceed. The dotted line is the best layer.",
        Table(f"fig{number}", "", columns, rows),
        (9, _height(len(tasks), 2.4)),
        draw,
    )


def jaccard_figure(results: Structure, site: str) -> Figure:
    """Fig. 3 or 4: overlap of labels and clusters at the best layer."""
    tasks = results.tasks

    def draw(canvas: Any) -> None:
        panels = _panels(canvas, len(tasks))
        for axis, task in zip(panels, tasks, strict=True):
            found = task.sites[site]
            image = axis.imshow(np.array(found.jaccard), vmin=0, vmax=1, cmap="viridis")
            axis.set_title(f"{task.name}: layer {found.best_layer}")
            axis.set_xlabel("cluster")
            axis.set_xticks([])
            if len(task.labels) <= MOST_TICKS:
                axis.set_yticks(range(len(task.labels)), task.labels, fontsize=6)
            else:
                axis.set_yticks([])
                axis.set_ylabel(f"{len(task.labels)} labels")
        canvas.colorbar(image, ax=panels, label="Jaccard index", shrink=0.6)

    rows = [
        [task.name, label, str(cluster), f"{value:.4f}"]
        for task in tasks
        for label, of_label in zip(task.labels, task.sites[site].jaccard, strict=True)
        for cluster, value in enumerate(of_label)
    ]
    number = NUMBERS[site][1]
    return drawn(
        f"fig{number}-jaccard-{site}",
        f"Fig. {number}: overlap of labels and clusters over their union at the layer with the "
        f"highest ARI, {SITE_NAMES[site]}, first seed. Clusters are in the order that maximises "
        "the trace of the matrix (Hungarian algorithm), so that a diagonal appears also by chance.",
        Table(f"fig{number}", "", ("concept", "label", "cluster", "Jaccard index"), rows),
        (9, _height(len(tasks), 2.9)),
        draw,
    )


def accuracy_figure(tasks: Sequence[TaskStructure]) -> Figure:
    """Held-out accuracy of the probes over the layers.

    Args:
        tasks: that have probes at every site.
    """
    probes = [(task, site, _probe(found)) for task in tasks for site, found in task.sites.items()]

    def draw(canvas: Any) -> None:
        axes = dict(zip((one.name for one in tasks), _panels(canvas, len(tasks)), strict=True))
        for task, site, probe in probes:
            axis, colour = axes[task.name], SITE_COLOURS[site]
            axis.plot(probe.accuracy, "o-", color=colour, ms=3, lw=1, label=SITE_NAMES[site])
            axis.axhline(probe.null_bound, color=colour, lw=0.8, ls="--")
            axis.axhline(task.chance, color="grey", lw=0.8, ls=":")
            axis.set_title(f"{task.name}: k = {len(task.labels)}, n = {probe.rows}")
            axis.set_xlabel("layer")
            axis.set_ylim(0, 1.02)
        canvas.axes[0].set_ylabel("balanced accuracy")
        _legend(canvas)

    rows = [
        [
            task.name,
            site,
            str(layer),
            f"{value:.4f}",
            f"{task.chance:.4f}",
            f"{probe.null_bound:.4f}",
        ]
        for task, site, probe in probes
        for layer, value in enumerate(probe.accuracy)
    ]
    columns = ("concept", "site", "layer", "accuracy", "chance", "null bound")
    return drawn(
        "probes",
        "Balanced accuracy of a linear probe of all labels on held-out folds, over the layers. "
        "Dotted: chance; dashed: accuracy that 5 % of the permutations exceed in any layer.",
        Table("probes", "", columns, rows),
        (9, _height(len(tasks), 2.4)),
        draw,
    )


def summary_table(results: Structure) -> Table:
    """One row for each concept and site."""
    rows = [
        [
            task.name,
            site,
            str(len(task.labels)),
            str(task.n),
            str(found.best_layer),
            f"{found.best.raw['ari'].mean:.3f} ({found.best_bound:.3f})",
            _with_null(found, "ami"),
            _with_null(found, "nmi"),
            _with_null(found, "ari", whitened=True),
            f"{np.mean(np.diag(found.jaccard)):.2f}",
            "–" if found.probe is None else f"{max(found.probe.accuracy):.3f}",
            "–" if found.probe is None else f"{found.probe.null_bound:.3f}",
        ]
        for task in results.tasks
        for site, found in task.sites.items()
    ]
    columns = ("concept", "site", "k", "n", "layer", "ARI", "AMI", "NMI", "ARI, whitened",
               "matched Jaccard", "accuracy", "null of accuracy")  # fmt: skip
    return Table(
        "structure",
        "Clusters at the layer with the highest ARI of raw rows, and the probe's accuracy at its "
        "own best layer. Indices are means over the seeds; in brackets the value that 5 % of the "
        "permutations exceed: of ARI and of the accuracy in any layer, of the others in that layer.",
        columns,
        rows,
    )


def protocol_table(results: Structure) -> Table:
    """How each concept was clustered."""
    return Table(
        "structure-protocol",
        "Protocol of the clusters. Permutations exchange the labels of whole tracks.",
        ("concept", "tracks", "protocol"),
        [[task.name, str(task.tracks), task.protocol] for task in results.tasks],
    )


def probe_table(results: Structure) -> Table:
    """Accuracy by layer of every concept and site."""
    rows = [
        [
            task.name,
            site,
            str(found.probe.rows),
            found.probe.folds,
            f"{task.chance:.3f}",
            f"{found.probe.null_bound:.3f}",
            " ".join(f"{value:.2f}" for value in found.probe.accuracy),
        ]
        if found.probe is not None
        else [task.name, site, "–", "too few rows of a label", f"{task.chance:.3f}", "–", "–"]
        for task in results.tasks
        for site, found in task.sites.items()
    ]
    return Table(
        "structure-probes",
        "Balanced accuracy of the probes on held-out folds, by layer from 0.",
        ("concept", "site", "n", "folds", "chance", "null bound", "accuracy"),
        rows,
    )


def _panels(canvas: Any, count: int) -> list[Any]:
    """Axes of `count` panels, COLUMNS in a row."""
    rows = -(-count // COLUMNS)
    grid = canvas.add_gridspec(rows, COLUMNS)
    return [canvas.add_subplot(grid[i // COLUMNS, i % COLUMNS]) for i in range(count)]


def _legend(canvas: Any) -> None:
    """One legend of all panels, below them."""
    handles, labels = canvas.axes[0].get_legend_handles_labels()
    canvas.legend(
        handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8
    )


def _height(panels: int, of_row: float) -> float:
    return of_row * -(-panels // COLUMNS)


def _index_lines(axis: Any, found: SiteStructure, name: str) -> None:
    """An index over the layers with the range over seeds and the band of its null."""
    series, colour = found.series(name), COLOURS[name]
    layers, means = range(len(series)), [one.mean for one in series]
    bars = [  # rounding may put the mean of equal values a little outside their range
        [max(0.0, one.mean - min(one.values)) for one in series],
        [max(0.0, max(one.values) - one.mean) for one in series],
    ]
    axis.errorbar(
        layers, means, bars, fmt="o-", color=colour, ms=3, lw=1, capsize=2, label=name.upper()
    )
    low, high = [one.null_mean for one in series], [one.null_bound for one in series]
    axis.fill_between(layers, low, high, color=colour, alpha=0.25, lw=0)
    if name == "ari":
        whitened = [one.mean for one in found.series(name, whitened=True)]
        axis.plot(layers, whitened, "--", color=colour, lw=1, label="ARI, whitened")


def _index_cells(index: Index) -> list[str]:
    values = (index.mean, min(index.values), max(index.values), index.null_mean, index.null_bound)
    return [f"{value:.4f}" for value in values]


def _with_null(found: SiteStructure, name: str, whitened: bool = False) -> str:
    """`0.41 (0.02)`: an index at the best layer, with the bound of its null."""
    index = found.series(name, whitened)[found.best_layer]
    return f"{index.mean:.3f} ({index.null_bound:.3f})"


def _probe(found: SiteStructure) -> Probe:
    assert found.probe is not None  # tasks without a probe are not drawn
    return found.probe
