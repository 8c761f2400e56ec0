"""A steering vector between two sets of labels in a store of activations."""

from collections.abc import Mapping

from tonearm.activations.moments import RunningMoments
from tonearm.activations.store import ActivationStore
from tonearm.backend import ModelShape, Site
from tonearm.hashing import hash_texts
from tonearm.methods.as_vector import as_vector
from tonearm.methods.base import Fit, Method
from tonearm.methods.from_store import Sides, segments_of_sides, stored_activations
from tonearm.steering import SteeringVector


def vector_of_store(
    shape: ModelShape,
    store: ActivationStore,
    site: Site,
    sides: Sides,
    moments: Mapping[str, RunningMoments],
    method: Method,
    name: str,
    *,
    positive_label: str,
    negative_label: str,
) -> tuple[SteeringVector, Fit]:
    """Fit a method to two sets of labels.

    Args:
        shape: of the checkpoint whose activations the store holds.
        store: of activations.
        site: to read.
        sides: the two sets.
        moments: of the site's rows by label, from `store.moments`.
        method: that fits.
        name: of the vector.
        positive_label: meaning of a positive strength.
        negative_label: meaning of a negative strength.

    Returns:
        The vector, and the fit, which knows whether it is beyond chance.

    Raises:
        TonearmError: an empty set, a track in both, or too little audio for the method.
    """
    above, below = segments_of_sides(store, sides)
    activations = stored_activations(store, site, sides, moments, shape.heads_at(site))
    fit = method.fit(activations)
    provenance = dict(
        name=name,
        method=method.name,
        positive_label=positive_label,
        negative_label=negative_label,
        positive_count=len(above),
        negative_count=len(below),
        source="audio",
        site=site,
        pooling=store.info.pooling,
        segment_seconds=store.info.segment_seconds,
        text=store.info.text or "",
        data_hash=hash_texts([one.sha256 for one in above], [one.sha256 for one in below]),
    )
    return as_vector(fit, activations, shape, provenance), fit
