"""Vectors of the study, from the activations of its pieces; each is kept in a file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tonearm.activations.moments import RunningMoments
from tonearm.activations.store import ActivationStore
from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.hashing import hash_texts
from tonearm.methods.base import method_named
from tonearm.methods.from_store import Sides, segments_of_sides
from tonearm.methods.learn import learn
from tonearm.methods.vector_of_store import vector_of_store
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import SteeringVector, load_vector, save_vector
from tonearm.studies.label_scores import plain_name
from tonearm.studies.panda2025.design import (
    DIFFMEAN,
    FORMS,
    INSTRUMENTS,
    LEADS,
    PAPER_METHOD,
    PROMPTS,
    RIDGE_PAIRS,
    SITES,
    Design,
    GenrePair,
    prompts_of,
)
from tonearm.studies.panda2025.variants import (
    REST,
    VectorName,
    instrument_vector,
    pair_vector,
    prompt_vector,
    random_name,
)
from tonearm.text import quoted

FOLDER = "vectors"
RANDOM_SEED = 700
SET_ASIDE = "set aside"  # label of pieces that no vector is fitted to


@dataclass(frozen=True)
class Labelled:
    """Activations of pieces under one of their labels, with the moments of each label by site."""

    store: ActivationStore
    moments: Mapping[Site, Mapping[str, RunningMoments]]

    @classmethod
    def of(cls, store: ActivationStore) -> "Labelled":
        return cls(store, {site: store.moments(site) for site in SITES})

    def label(self, wanted: str) -> str:
        """The label that has this name. Raises TonearmError where there is none."""
        for label in sorted(self.labels):
            if plain_name(label) == plain_name(wanted):
                return label
        known = ", ".join(sorted(self.labels))
        raise TonearmError(f"the corpus has no label {quoted(wanted)}; there are {known}")

    @property
    def labels(self) -> frozenset[str]:
        """Labels without that of pieces that are set aside."""
        return frozenset(one.label for one in self.store.segments) - {SET_ASIDE}

    def sides(self, target: str, source: str) -> Sides:
        """A label against another, or against all others."""
        positive = self.label(target)
        others = self.labels - {positive}
        negative = others if source == REST else frozenset([self.label(source)])
        return Sides(frozenset([positive]), negative)


def relabel(store: ActivationStore, labels: Mapping[str, str]) -> ActivationStore:
    """The store with other labels.

    Args:
        store: of activations.
        labels: by name of the recording.
    """
    shards = tuple(
        shard.model_copy(
            update={
                "segments": tuple(
                    one.model_copy(update={"label": labels[one.name]}) for one in shard.segments
                )
            }
        )
        for shard in store.shards
    )
    return replace(store, shards=shards)


def vector_names(design: Design, pairs: Sequence[GenrePair]) -> list[VectorName]:
    """Directions of the study, without random ones."""
    sited = [(site, method) for site in SITES for method in design.methods]
    found = [pair_vector(pair, site, method) for pair in pairs for site, method in sited]
    found += [prompt_vector(pair) for pair in pairs]
    on_ridge = [pair for pair in pairs if pair.name in RIDGE_PAIRS]
    found += [pair_vector(pair, method=method) for pair in on_ridge for method in design.ridge]
    found += [
        instrument_vector(one, method) for one in INSTRUMENTS for method in (PAPER_METHOD, DIFFMEAN)
    ]
    return list(dict.fromkeys(found))


def make_vectors(
    model: Model,
    genres: Labelled,
    instruments: Labelled,
    design: Design,
    pairs: Sequence[GenrePair],
    folder: Path,
    progress: Progress | None = None,
) -> dict[str, SteeringVector]:
    """Fit the vectors that the folder lacks, and draw random directions with the norms of those by
    the paper's method. Direction i of every vector is the same up to its norm.

    Args:
        model: the checkpoint.
        genres: activations by genre.
        instruments: activations by instrument.
        design: sizes.
        pairs: rows of tables I and II.
        folder: of the run.
        progress: called with vectors done and vectors in all.

    Returns:
        Vectors by name.
    """
    names, found = vector_names(design, pairs), dict[str, SteeringVector]()
    for done, name in enumerate(names):
        if progress:
            progress(done, len(names))
        if name.method == PROMPTS:
            vector = _of_prompts(model, name)
        else:
            labelled = instruments if name.source == REST else genres
            vector = _vector(model, labelled, name, folder / FOLDER)
        found[str(name)] = vector
        for index in range(design.random if name.method == PAPER_METHOD else 0):
            found[random_name(name, index)] = vector.random_like(RANDOM_SEED + index)
    return found


def _of_prompts(model: Model, name: VectorName) -> SteeringVector:
    """DiffMean of prompts that name the target and of those that name the source."""
    count = len(FORMS["learned"]) * len(LEADS["learned"])
    positive, negative = (
        prompts_of(genre, "learned", count) for genre in (name.target, name.source)
    )
    return learn(
        model,
        positive,
        negative,
        str(name),
        positive_label=name.target,
        negative_label=name.source,
    )


def _vector(model: Model, labelled: Labelled, name: VectorName, folder: Path) -> SteeringVector:
    """Read a vector from its file, or fit and save it."""
    store, sides = labelled.store, labelled.sides(name.target, name.source)
    above, below = segments_of_sides(store, sides)
    path = folder / f"{re.sub(r'[^a-z0-9.]+', '-', str(name).lower())}.safetensors"
    if path.is_file():
        vector = load_vector(path)
        data = hash_texts([one.sha256 for one in above], [one.sha256 for one in below])
        if (vector.info.fingerprint, vector.info.data_hash) == (model.shape.fingerprint, data):
            return vector
    vector, _ = vector_of_store(
        model.shape,
        store,
        name.site,
        sides,
        labelled.moments[name.site],
        method_named(name.method),
        str(name),
        positive_label=name.target,
        negative_label=name.source,
    )
    save_vector(vector, path)
    return vector
