"""Activations of two sets of labels in a store.

The moments are computed in one pass over the shards. The rows stay on disk and are read one layer
at a time, so that a method which takes its rows layer by layer holds [n, D] of them.

Shapes: n rows; L layers; D width.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from tonearm.activations.moments import RunningMoments
from tonearm.activations.store import ActivationStore, SegmentRecord, StoredRows
from tonearm.backend import Site
from tonearm.datasets.skips import describe_skips
from tonearm.errors import TonearmError
from tonearm.methods.base import Activations

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sides:
    """Two sets of labels without a label in common."""

    positive: frozenset[str]
    negative: frozenset[str]


def segments_of_sides(
    store: ActivationStore, sides: Sides
) -> tuple[list[SegmentRecord], list[SegmentRecord]]:
    """Segments of the positive and of the negative set.

    Raises:
        TonearmError: an empty set, or a track that is in both.
    """
    positive = [one for one in store.segments if one.label in sides.positive]
    negative = [one for one in store.segments if one.label in sides.negative]
    for name, found, labels in (
        ("positive", positive, sides.positive),
        ("negative", negative, sides.negative),
    ):
        if not found:
            reason = describe_skips(store.skipped()) or "none was given"
            raise TonearmError(
                f"no audio of the {name} set ({', '.join(sorted(labels))}) can be used: {reason}; "
                "give audio with sound"
            )
    of_track = {one.track: one for one in positive}
    for one in negative:
        other = of_track.get(one.track)
        if other is not None:
            raise TonearmError(
                f"track {one.track} is in both sets ({other.name} as {other.label}, {one.name} as "
                f"{one.label}); keep it in one of them"
            )
    return positive, negative


def warn_of_same_audio(segments: Sequence[SegmentRecord]) -> None:
    """Warn once of audio with two labels, which teaches nothing."""
    first: dict[str, SegmentRecord] = {}
    pairs = [(first.setdefault(one.sha256, one), one) for one in segments]
    found = [(one, other) for one, other in pairs if one.label != other.label]
    if found:
        one, other = found[0]
        _log.warning(
            "the same audio has two labels in %d segments: %s as %s, %s as %s; "
            "leave it out, or correct the labels",
            len(found),
            one.name,
            one.label,
            other.name,
            other.label,
        )


def stored_activations(
    store: ActivationStore,
    site: Site,
    sides: Sides,
    by_label: Mapping[str, RunningMoments],
    heads: int | None = None,
) -> Activations:
    """Activations of two sets; groups are pieces, or tracks where no piece is stated.

    Args:
        store: with rows of the site.
        site: to read.
        sides: the two sets, each with segments.
        by_label: moments of the site's rows, from `store.moments`.
        heads: of a layer, at site heads.
    """
    rows_of_segment, units = store.segment_rows, dict[str, int]()
    used = [one.label in sides.positive | sides.negative for one in store.segments]
    chosen = [one for one, is_used in zip(store.segments, used, strict=True) if is_used]
    labels = torch.tensor([int(one.label in sides.positive) for one in chosen])
    groups = torch.tensor([units.setdefault(one.split_unit, len(units)) for one in chosen])
    return Activations(
        _merged(by_label, sides.positive),
        _merged(by_label, sides.negative),
        StoredRows(store, site, torch.tensor(used).repeat_interleave(rows_of_segment)),
        labels.repeat_interleave(rows_of_segment),
        groups.repeat_interleave(rows_of_segment),
        heads=heads,
    )


def _merged(by_label: Mapping[str, RunningMoments], labels: frozenset[str]) -> RunningMoments:
    moments = RunningMoments()
    for label in sorted(labels & by_label.keys()):
        moments.merge(by_label[label])
    return moments
