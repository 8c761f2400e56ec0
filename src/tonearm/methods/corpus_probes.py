"""Probes of a labelled corpus: each label against the others, at every layer of several sites.

Shapes: L layers.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tonearm import boundary
from tonearm.activations.audio import AudioSpec
from tonearm.activations.corpus import capture_recordings
from tonearm.activations.store import ActivationStore
from tonearm.backend import Site
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.recordings import recordings_of
from tonearm.datasets.skips import Skipped
from tonearm.errors import TonearmError
from tonearm.methods.base import method_named, site_of
from tonearm.methods.from_store import Sides, segments_of_sides, warn_of_same_audio
from tonearm.methods.learn_from_audio import store_folder
from tonearm.methods.vector_of_store import vector_of_store
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

    vectors  by site and label, each with the scores of its method per layer
    counts   by label
    skipped  items of the corpus and segments that were left out, by reason
    """

    vectors: Mapping[Site, Mapping[str, SteeringVector]]
    counts: Mapping[str, LabelCount]
    skipped: tuple[Skipped, ...]

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the scores that all vectors have."""
        first, *others = [one.info.scores for of in self.vectors.values() for one in of.values()]
        return tuple(name for name in first if all(name in scores for scores in others))

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
    column: str | None = None,
    where: Mapping[str, str] | None = None,
    layout: str | None = None,
    method: str = "lda",
    sites: Sequence[Site] | None = None,
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
        column: of the corpus with the labels; default: that of its layout.
        where: values by column; other items of the corpus are left out.
        layout: name of the layout; default: found by the files in the folder.
        method: a registered method; its scores become the tables. A label may have no direction
            beyond chance, which its statistics say.
        sites: to read; default: residual, or that of a method which reads one site alone.
        pooling: see tonearm/activations/audio_pooling.py.
        segment_seconds: default: 10, or the checkpoint's window where that is shorter.
        text: read with every segment; default: none, the null text of guidance.
        batch_size: segments per pass; default: as many as fit, 8 at most.
        store: folder that keeps the activations, so that a stopped call resumes; default: a
            temporary folder.
        progress: called with steps done and steps in all, one for each recording and each fit.

    Raises:
        TonearmError: no labelled corpus, a label without usable audio or with too little for the
            method, a track with two labels, or an argument that is not possible.
    """
    boundary.instance(model, "model", Model, "a Model, as tonearm.load returns it")
    boundary.text(method, "method")
    boundary.text(pooling, "pooling")
    paths = boundary.sequence(folders, "folders", boundary.path, "a list of folders")
    names = boundary.optional(_sites, sites, "sites")
    segment_seconds = boundary.optional(boundary.number, segment_seconds, "segment_seconds")
    text = boundary.optional(boundary.text, text, "text")
    batch_size = boundary.optional(boundary.integer, batch_size, "batch_size")
    progress = boundary.optional(boundary.function, progress, "progress")
    folder = boundary.optional(boundary.path, store, "store")
    if not paths:
        raise TonearmError("folders is empty; give a labelled corpus")
    chosen = method_named(method)
    read = [site_of(chosen, site) for site in ([None] if names is None else names)]
    spec = AudioSpec(tuple(read), pooling, segment_seconds, text, batch_size)
    spec = spec.resolved(model.checkpoint)
    corpus = read_corpus([Path(path) for path in paths], label=column, where=where, layout=layout)
    recordings = recordings_of(corpus)
    labels = sorted({recording.label for recording in recordings})
    pairs = [Sides(frozenset([label]), frozenset(labels) - {label}) for label in labels]
    vectors: dict[Site, dict[str, SteeringVector]] = {}
    with store_folder(folder) as place:
        steps = len(recordings) + len(pairs) * len(spec.sites)

        def report(done: int, _: int = 0) -> None:
            if progress:
                progress(done, steps)

        captured = capture_recordings(model.engine, recordings, spec, place, report)
        for sides in pairs:
            segments_of_sides(captured, sides)
        warn_of_same_audio(captured.segments)
        for site in spec.sites:
            moments, vectors[site] = captured.moments(site), {}
            for one, sides in zip(labels, pairs, strict=True):
                vectors[site][one], _ = vector_of_store(
                    model.shape,
                    captured,
                    site,
                    sides,
                    moments,
                    chosen,
                    one,
                    positive_label=one,
                    negative_label=REST,
                )
                report(len(recordings) + sum(map(len, vectors.values())))
    counts = {one: _count(captured, one) for one in labels}
    skipped = (*corpus.skipped, *captured.skipped(corpus.layout.known_defects))
    return Probes(vectors, counts, skipped)


def _sites(value: object, name: str) -> list[Any]:
    return boundary.sequence(value, name, boundary.text, "a list of sites")


def _count(store: ActivationStore, label: str) -> LabelCount:
    found = [one for one in store.segments if one.label == label]
    return LabelCount(len(found), len({one.track for one in found}))
