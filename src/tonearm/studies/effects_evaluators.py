"""Summary of each condition by the bundled evaluators: tempo, CLAP score, FAD and KAD.

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
from tonearm.studies.effects_trials import (
    Condition,
    Effect,
    Record,
    effect,
    of_condition,
    references,
)


@dataclass(frozen=True)
class EvaluatorSummary:
    """One condition by the bundled evaluators.

    Attributes:
        tempo: BPM, change relative.
        tempo_count: takes in which a tempo was found.
        takes: of the condition.
        agreement_with_librosa: of the bundled tracker's tempi, with librosa's as truth; None where
            no take has both.
        clap_score: cosine with the take's own text, change as a difference.
        clap_score_other_text: likewise with another take's text.
        fad_same_seeds: to the unsteered takes of the same seeds; None for those themselves.
        fad: to the reference. Distances are None where a take is silent: n would differ.
        kad: to the reference.
    """

    tempo: Effect
    tempo_count: int
    takes: int
    agreement_with_librosa: TempoAccuracy | None
    clap_score: Effect
    clap_score_other_text: Effect
    fad_same_seeds: FAD | None
    fad: FAD | None
    kad: KAD | None


def summarise(
    records: Sequence[Record], conditions: Sequence[Condition]
) -> dict[str, EvaluatorSummary]:
    """Summarise each condition.

    Args:
        records: of the study.
        conditions: the first is no steering.

    Returns:
        Summaries by name of the condition.
    """
    by_name = {condition.name: of_condition(records, condition.name) for condition in conditions}
    plain = by_name[conditions[0].name]
    reference_records = [
        record for condition in references() for record in of_condition(records, condition.name)
    ]
    reference = embedding_set(reference_records, "unsteered, other seeds")
    return {name: _summary(takes, plain, reference, name) for name, takes in by_name.items()}


def embedding_set(takes: Sequence[Record], source: str) -> EmbeddingSet | None:
    """Collect the embeddings of takes; None without takes, and where one of them is silent."""
    rows = [take["embedding"] for take in takes]
    if not rows or None in rows:
        return None
    return EmbeddingSet(np.array(rows), takes[0]["embedder"], source)


def _summary(
    takes: Sequence[Record], plain: Sequence[Record], reference: EmbeddingSet | None, name: str
) -> EvaluatorSummary:
    own, unsteered = embedding_set(takes, name), embedding_set(plain, "no steering")
    is_plain = takes == plain
    tempi = _values(takes, "bundled_tempo")
    both = [
        (bundled, librosa)
        for bundled, librosa in zip(tempi, _values(takes, "tempo"), strict=True)
        if bundled is not None and librosa is not None
    ]
    return EvaluatorSummary(
        tempo=effect(_values(plain, "bundled_tempo"), tempi),
        tempo_count=sum(bpm is not None for bpm in tempi),
        takes=len(takes),
        agreement_with_librosa=tempo_accuracy(*zip(*both, strict=True)) if both else None,
        clap_score=_difference(plain, takes, "clap_score"),
        clap_score_other_text=_difference(plain, takes, "clap_score_other_text"),
        fad_same_seeds=measure_fad(own, unsteered) if own and unsteered and not is_plain else None,
        fad=measure_fad(own, reference) if own and reference else None,
        kad=measure_kad(own, reference) if own and reference else None,
    )


def _values(takes: Sequence[Record], measure: str) -> list[float | None]:
    return [take[measure]["value"] for take in takes]


def _difference(plain: Sequence[Record], takes: Sequence[Record], measure: str) -> Effect:
    return effect(_values(plain, measure), _values(takes, measure), relative=False)


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
