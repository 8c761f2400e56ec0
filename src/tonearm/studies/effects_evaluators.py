"""Distances of each condition's takes to unsteered ones, and the accuracy of the evaluators.

FAD is compared only within a column: all conditions have equally many takes, and each column has
one reference.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm import assets
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.measures import FAD, KAD, TempoAccuracy, measure_fad, measure_kad, tempo_accuracy
from tonearm.studies.effects_conditions import references
from tonearm.studies.records import Record, records_of, values_of


@dataclass(frozen=True)
class Distances:
    """Takes of one condition by the bundled evaluators.

    Attributes:
        agreement: of the bundled tracker's tempi, with librosa's as truth; None where no take has
            both.
        fad_same_seeds: to the unsteered takes of the same seeds; None for those themselves.
        fad: to the reference. Distances are None where a take is silent: n would differ.
        kad: to the reference.
    """

    agreement: TempoAccuracy | None
    fad_same_seeds: FAD | None
    fad: FAD | None
    kad: KAD | None


def measure_distances(records: Sequence[Record], names: Sequence[str]) -> dict[str, Distances]:
    """Measure each condition.

    Args:
        records: of the study.
        names: of conditions; the first is no steering.

    Returns:
        Distances by name of the condition.
    """
    reference_records = [
        record for condition in references() for record in records_of(records, condition.name)
    ]
    reference = embedding_set(reference_records, "unsteered, other seeds")
    plain = records_of(records, names[0])
    return {name: _distances(records_of(records, name), plain, reference, name) for name in names}


def embedding_set(takes: Sequence[Record], source: str) -> EmbeddingSet | None:
    """Collect the embeddings of takes; None without takes, and where one of them is silent."""
    rows = [take["embedding"] for take in takes]
    if not rows or None in rows:
        return None
    return EmbeddingSet(np.array(rows), takes[0]["embedder"], source)


def _distances(
    takes: Sequence[Record], plain: Sequence[Record], reference: EmbeddingSet | None, name: str
) -> Distances:
    own, unsteered = embedding_set(takes, name), embedding_set(plain, "no steering")
    tempi = zip(values_of(takes, "bundled_tempo"), values_of(takes, "tempo"), strict=True)
    both = [(bundled, librosa) for bundled, librosa in tempi if bundled and librosa]
    is_plain = takes == plain
    return Distances(
        agreement=tempo_accuracy(*zip(*both, strict=True)) if both else None,
        fad_same_seeds=measure_fad(own, unsteered) if own and unsteered and not is_plain else None,
        fad=measure_fad(own, reference) if own and reference else None,
        kad=measure_kad(own, reference) if own and reference else None,
    )


def tracker_accuracies() -> Mapping[str, Mapping[str, Any]]:
    """Read each tracker's accuracy 1 on rendered, codec-decoded pieces from the model card."""
    return {
        tracker: shares["decoded"]["accuracy_1"]
        for tracker, shares in _card()["beats"]["performances"].items()
    }


def clap_accuracies() -> Mapping[str, Mapping[str, Any]]:
    """Read CLAP's accuracy per attribute on the same pieces from the model card."""
    return {attribute: share for attribute, share in _card()["clap"]["decoded"].items() if share}


def _card() -> dict[str, Any]:
    return json.loads(assets.EVALUATORS_CARD.read_text(encoding="utf-8"))
