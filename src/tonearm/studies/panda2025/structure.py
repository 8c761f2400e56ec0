"""Musical concepts in the activations, layer by layer: clusters and linear probes.

Clusters: k-means with as many clusters as labels, of raw rows and of rows whitened to COMPONENTS
principal components, for SEEDS; agreement with the labels as ARI, AMI and NMI, and their null over
permutations that keep the rows of a track together. The best layer has the highest mean ARI of raw
rows over the seeds. The null of the best layer is the maximum over the layers for each permutation,
so that the choice among layers is allowed for.

Probes: discriminant analysis of all labels (tonearm/methods/discriminant.py), balanced accuracy on
held-out folds: five folds of whole tracks, or the values of a task's column. The null repeats the
folds with permuted labels, and keeps the best layer of each permutation.

Shapes: n rows; L layers; D width; k labels; P permutations.

Source: Panda et al. 2025, III, IV-B, figs. 1 to 4.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from tonearm.activations.store import StoredRows
from tonearm.analysis.clusters import (
    NULL_QUANTILE,
    PERMUTATIONS,
    STARTS,
    Null,
    agreement,
    k_means,
    matched_jaccard,
    permuted_agreement,
    whitened,
)
from tonearm.backend import Site
from tonearm.datasets.selection import is_selected
from tonearm.errors import TonearmError
from tonearm.methods.base import Rows
from tonearm.methods.discriminant import predict_classes
from tonearm.methods.splits import FOLDS, can_hold_out, grouped_folds, permuted
from tonearm.progress import Progress
from tonearm.studies.panda2025.corpora import CapturedCorpus
from tonearm.studies.panda2025.design import SITES
from tonearm.studies.panda2025.structure_results import (
    Index,
    LayerClusters,
    Probe,
    SiteStructure,
    Structure,
    TaskStructure,
)

SEEDS = tuple(range(5))  # of k-means
LARGE, STARTS_OF_LARGE = 1500, 2  # above so many rows, the seeds together have ten starts
COMPONENTS = 50  # of whitened rows
PROBE_ROWS = 2000
PROBE_PERMUTATIONS = 20
SEED = 0  # of draws, folds and permutations


@dataclass(frozen=True)
class Task:
    """A musical concept, as labels of a corpus.

    Attributes:
        name: of the concept.
        corpus: that has it.
        label: column of the labels.
        where: values by column that select segments.
        fold: column whose values are the folds of the probe; None: five folds of tracks.
    """

    name: str
    corpus: str
    label: str
    where: Mapping[str, str] = field(default_factory=dict)
    fold: str | None = None


TASKS = (
    Task("pitch classes", "notes", "root_note_name"),
    # Each instrument has one chord in each inversion: the probe predicts an inversion from others.
    Task("instruments", "chords", "midi_program_name", {"chord_type": "major"}, "inversion"),
    Task("chord qualities", "chords", "chord_type"),
    Task("progressions", "progressions", "chord_progression"),
    Task("genres", "pieces", "genre"),
    Task("leads", "pieces", "lead"),
)


def measure_structure(
    corpora: Mapping[str, CapturedCorpus], progress: Progress | None = None
) -> Structure:
    """Measure all tasks whose labels the corpora have; a corpus of genres has no leads.

    Args:
        corpora: by name.
        progress: called with layers done and layers in all, over tasks and sites.

    Raises:
        TonearmError: rows of a corpus cannot be read.
    """
    tasks = [task for task in TASKS if corpora[task.corpus].has(task.label)]
    total = sum(len(SITES) * corpora[task.corpus].store.info.layer_count for task in tasks)
    done, found = 0, list[TaskStructure]()

    def step() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    for task in tasks:
        corpus = corpora[task.corpus]
        segments = [corpus.columns[segment.name] for segment in corpus.store.segments]
        chosen = np.array([is_selected(columns, task.where) for columns in segments])

        def values(of: Sequence[str], chosen: np.ndarray = chosen) -> list[str]:
            return [value for value, used in zip(of, chosen, strict=True) if used]

        rows = {site: StoredRows(corpus.store, site, torch.from_numpy(chosen)) for site in SITES}
        labels, tracks = values(corpus.values(task.label)), values(corpus.tracks)
        folds = None if task.fold is None else values(corpus.values(task.fold))
        found.append(measure_task(task.name, rows, labels, tracks, folds, on_layer=step))
    return Structure(tasks=tuple(found))


def measure_task(
    name: str,
    rows: Mapping[Site, Rows],
    labels: Sequence[str],
    tracks: Sequence[str],
    folds: Sequence[str] | None = None,
    on_layer: Callable[[], None] = lambda: None,
) -> TaskStructure:
    """Measure clusters and probes of one concept.

    Args:
        name: of the concept.
        rows: [n, L, D] by site.
        labels: of the rows.
        tracks: of the rows.
        folds: of the rows; default: FOLDS folds of whole tracks.
        on_layer: called after each layer of each site.

    Raises:
        TonearmError: fewer than two labels.
    """
    names, truth = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise TonearmError(
            f"the rows of {name} have the label {', '.join(names) or '(none)'} alone; "
            "give a larger corpus"
        )
    groups = np.unique(tracks, return_inverse=True)[1]
    starts = STARTS if len(truth) <= LARGE else STARTS_OF_LARGE
    plan = _plan_probe(truth, groups, folds)
    return TaskStructure(
        name=name,
        labels=tuple(names.tolist()),
        n=len(truth),
        tracks=int(groups.max()) + 1,
        protocol=(
            f"k-means, k = {len(names)}, best of {starts} starts, seeds {SEEDS[0]} to {SEEDS[-1]}, "
            f"n = {len(truth)}; null of {PERMUTATIONS} permutations"
        ),
        sites={
            site: _measure_site(of_site, truth, groups, starts, plan, on_layer)
            for site, of_site in rows.items()
        },
    )


@dataclass(frozen=True)
class _ProbePlan:
    """Rows of a probe, m of n, and their folds.

    Attributes:
        chosen: indices of the rows, [m].
        targets: labels, then their permutations, int [m, 1 + P].
        folds: of the chosen rows, int [m].
        description: of the folds.
    """

    chosen: np.ndarray
    targets: np.ndarray
    folds: np.ndarray
    description: str


def _plan_probe(
    truth: np.ndarray, groups: np.ndarray, folds: Sequence[str] | None
) -> _ProbePlan | None:
    """Draw the rows of a probe and divide them; None where a label has too few of them."""
    chosen = _balanced_draw(truth)
    labels, tracks = truth[chosen], groups[chosen]
    if folds is not None:
        values, fold = np.unique(np.asarray(folds)[chosen], return_inverse=True)
        if not all(set(labels[fold != one]) == set(truth) for one in range(len(values))):
            return None
        description = f"{len(values)} folds: {', '.join(values)}"
    else:
        if not can_hold_out(labels, tracks):
            return None
        fold = grouped_folds(labels, tracks, FOLDS, SEED)
        description = f"{FOLDS} folds of whole tracks"
    null = permuted(labels, tracks, fold, PROBE_PERMUTATIONS, SEED)
    return _ProbePlan(chosen, np.column_stack([labels, null]), fold, description)


def _balanced_draw(truth: np.ndarray) -> np.ndarray:
    """Indices of at most PROBE_ROWS rows, drawn at random, equally many of each label where it has as many."""
    rng = np.random.default_rng(SEED)
    most = max(1, PROBE_ROWS // len(np.unique(truth)))
    drawn = [rng.permutation(np.flatnonzero(truth == label))[:most] for label in np.unique(truth)]
    return np.sort(np.concatenate(drawn))


def _measure_site(
    rows: Rows,
    truth: np.ndarray,
    groups: np.ndarray,
    starts: int,
    plan: _ProbePlan | None,
    on_layer: Callable[[], None],
) -> SiteStructure:
    """Clusters and probe at every layer of rows [n, L, D]."""
    layers, draws, jaccards, scores = list[LayerClusters](), [], [], []
    for layer in range(rows.shape[1]):
        of_layer = rows[:, layer].numpy()
        raw, jaccard, null = _cluster(of_layer, truth, groups, starts)
        white = whitened(of_layer, COMPONENTS, SEED).astype(np.float32)
        layers.append(LayerClusters(raw=raw, whitened=_cluster(white, truth, groups, starts)[0]))
        draws.append(null)
        jaccards.append(jaccard)
        if plan is not None:
            scores.append(_accuracies(of_layer[plan.chosen].astype(np.float64), plan))
        on_layer()
    best = int(np.argmax([one.raw["ari"].mean for one in layers]))
    return SiteStructure(
        layers=tuple(layers),
        best_layer=best,
        best_bound=float(np.quantile(np.max(draws, axis=0), NULL_QUANTILE)),
        jaccard=tuple(map(tuple, jaccards[best].tolist())),
        probe=None if plan is None else _probe(np.array(scores), plan),
    )


def _cluster(
    rows: np.ndarray, truth: np.ndarray, groups: np.ndarray, starts: int
) -> tuple[dict[str, Index], np.ndarray, np.ndarray]:
    """Indices by name; Jaccard matrix and ARI under permutations of the first seed's clusters."""
    count = int(truth.max()) + 1
    found = [k_means(rows, count, seed, starts) for seed in SEEDS]
    values = [agreement(truth, one) for one in found]
    draws = permuted_agreement(truth, found[0], groups, SEED, PERMUTATIONS)
    nulls = {name: Null.of(of_index) for name, of_index in draws.items()}
    indices = {
        name: Index(
            values=tuple(one[name] for one in values),
            null_mean=null.mean,
            null_bound=null.bound,
        )
        for name, null in nulls.items()
    }
    return indices, matched_jaccard(truth, found[0], count)[0], draws["ari"]


def _accuracies(rows: np.ndarray, plan: _ProbePlan) -> np.ndarray:
    """Balanced accuracy on held-out folds for each column of the targets, [1 + P].

    Args:
        rows: chosen, float64 [m, D].
        plan: targets and folds.
    """
    return np.array([_accuracy(rows, labels, plan.folds) for labels in plan.targets.T])


def _accuracy(rows: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> float:
    """Mean over labels of the share of rows that are predicted correctly."""
    predicted = np.empty_like(labels)
    for fold in np.unique(folds):
        test = folds == fold
        predicted[test] = predict_classes(rows[~test], labels[~test], rows[test])
    counts = np.bincount(labels)
    return float(np.mean(np.bincount(labels[predicted == labels], minlength=len(counts)) / counts))


def _probe(scores: np.ndarray, plan: _ProbePlan) -> Probe:
    """Summarise accuracies [L, 1 + P]."""
    return Probe(
        accuracy=tuple(scores[:, 0].tolist()),
        null=tuple(scores[:, 1:].max(0).tolist()),
        rows=len(plan.chosen),
        folds=plan.description,
    )
