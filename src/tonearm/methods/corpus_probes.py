"""Probes of a labelled corpus: each label against the others, at every layer of several sites.

Shapes: L layers.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm import boundary
from tonearm.activations.audio import AudioSpec
from tonearm.activations.corpus import capture_recordings
from tonearm.activations.moments import RunningMoments
from tonearm.activations.store import ActivationStore, Failure
from tonearm.backend import Site
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.recordings import recordings_of
from tonearm.errors import TonearmError
from tonearm.hashing import hash_texts
from tonearm.methods.as_vector import as_vector
from tonearm.methods.base import Method, method_named
from tonearm.methods.from_store import Sides, segments_of_sides, stored_activations
from tonearm.methods.learn_from_audio import audio_provenance, store_folder
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import SteeringVector

REST = "the rest"


@dataclass(frozen=True)
class LabelCount:
    """Segments of a label, and the tracks that they are from."""

    segments: int
    tracks: int


@dataclass(frozen=True)
class Probes:
    """Probes of a corpus.

    vectors   by site and label, each with the scores of its method per layer
    counts    by label
    failures  recordings and segments that were left out
    """

    vectors: Mapping[Site, Mapping[str, SteeringVector]]
    counts: Mapping[str, LabelCount]
    failures: tuple[Failure, ...]

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the scores; the first one ranks the layers."""
        first = next(iter(next(iter(self.vectors.values())).values()))
        return tuple(first.info.scores)

    def scores(self, site: Site, score: str) -> dict[str, list[float]]:
        """A score of every label, per layer [L]."""
        return {
            label: list(vector.info.scores[score].values())
            for label, vector in self.vectors[site].items()
        }

    def mean_scores(self, site: Site, score: str) -> list[float]:
        """Mean of a score over labels, per layer [L]."""
        by_layer = zip(*self.scores(site, score).values(), strict=True)
        return [sum(values) / len(values) for values in by_layer]


def probe_corpus(
    model: Model,
    folders: Sequence[str | os.PathLike[str]],
    *,
    method: str = "diffmean",
    sites: Sequence[Site] = ("residual",),
    pooling: str = "last",
    segment_seconds: float | None = None,
    text: str | None = None,
    batch_size: int | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Probes:
    """Fit a method to each label of a corpus against the others. The model is not changed.

    Args:
        model: whose activations are captured, all sites in one pass.
        folders: one labelled corpus, or one folder per label (tonearm/datasets/labelled_audio.py).
        method: a registered method; its scores become the tables.
        sites: to read.
        pooling: see tonearm/activations/audio_pooling.py.
        segment_seconds: default: 10, or the checkpoint's window where that is shorter.
        text: read with every segment; default: none, the null text of guidance.
        batch_size: segments per pass; default: as many as fit, 8 at most.
        store: folder that keeps the activations, so that a stopped call resumes; default: a
            temporary folder.
        progress: called with recordings done and recordings in all.

    Raises:
        TonearmError: no labelled corpus, a label without usable audio, a track or audio with two
            labels, or an argument that is not possible.
    """
    boundary.instance(model, "model", Model, "a Model, as tonearm.load returns it")
    boundary.text(method, "method")
    boundary.text(pooling, "pooling")
    paths = boundary.sequence(folders, "folders", boundary.path, "a list of folders")
    names = boundary.sequence(sites, "sites", boundary.text, "a list of sites")
    segment_seconds = boundary.optional(boundary.number, segment_seconds, "segment_seconds")
    text = boundary.optional(boundary.text, text, "text")
    batch_size = boundary.optional(boundary.integer, batch_size, "batch_size")
    progress = boundary.optional(boundary.function, progress, "progress")
    folder = boundary.optional(boundary.path, store, "store")
    if not paths:
        raise TonearmError("folders is empty; give a labelled corpus")
    chosen = method_named(method)
    spec = AudioSpec(tuple(names), pooling, segment_seconds, text, batch_size)  # type: ignore[arg-type]
    spec = spec.resolved(model.checkpoint)
    recordings = recordings_of(read_corpus([Path(path) for path in paths]))
    labels = sorted({recording.label for recording in recordings})
    pairs = [Sides(frozenset([label]), frozenset(labels) - {label}) for label in labels]
    vectors: dict[Site, dict[str, SteeringVector]] = {}
    with store_folder(folder) as place:
        captured = capture_recordings(model.engine, recordings, spec, place, progress)
        for sides in pairs:
            segments_of_sides(captured, sides)
        for site in spec.sites:
            moments = captured.moments(site)
            vectors[site] = {
                label: _vector(model, captured, site, label, sides, moments, chosen)
                for label, sides in zip(labels, pairs, strict=True)
            }
    counts = {label: _count(captured, label) for label in labels}
    return Probes(vectors, counts, tuple(captured.failures))


def _vector(
    model: Model,
    store: ActivationStore,
    site: Site,
    label: str,
    sides: Sides,
    moments: Mapping[str, RunningMoments],
    method: Method,
) -> SteeringVector:
    """Vector of a label against the others."""
    above, below = segments_of_sides(store, sides)
    activations = stored_activations(store, site, sides, moments)
    provenance = dict(
        name=label,
        method=method.name,
        positive_label=label,
        negative_label=REST,
        positive_count=len(above),
        negative_count=len(below),
        **audio_provenance(store, site),
        data_hash=hash_texts([one.sha256 for one in above], [one.sha256 for one in below]),
    )
    return as_vector(method.fit(activations), activations.mean_norms, model.shape, provenance)


def _count(store: ActivationStore, label: str) -> LabelCount:
    found = [one for one in store.segments if one.label == label]
    return LabelCount(len(found), len({one.track for one in found}))
