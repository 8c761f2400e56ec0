"""Transfer of instruments and styles to given clips: the scores of the target, and what stays of the
clip.

Harmony of a continuation is compared with the whole clip by means over time, since its notes come
after those of the clip; that of a take with the clip's melody at equal times. The control of both is
another given clip in place of the take's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tonearm.measures import (
    NoteAgreement,
    chroma_similarity,
    mean_chroma_similarity,
    note_agreement,
    pitch_class_overlap,
)
from tonearm.stats.effect import Effect, effect
from tonearm.studies.panda2025.clips import CONTINUED, INSTRUMENT, MELODY, STYLE
from tonearm.studies.panda2025.design import INSTRUMENTS
from tonearm.studies.panda2025.rows import Row, row_of
from tonearm.studies.panda2025.scores import Score, Scorer
from tonearm.studies.panda2025.variants import is_random
from tonearm.studies.records import Record, by_facts, same_prompts, select

Similarity = Callable[[Record, Record], float | None]


@dataclass(frozen=True)
class Kept:
    """A similarity of takes and their clips.

    own        change against the plain takes
    mean       of the takes with their own clips
    plain      mean of the plain takes with their own clips
    unrelated  mean of the takes with other clips
    """

    own: Effect
    mean: float
    plain: float
    unrelated: float


@dataclass(frozen=True)
class Transfer:
    """One condition of one experiment, mode and target against plain takes of the same clips.

    plain    paper's score of the target of the plain takes
    clip     the same of the given clips themselves
    row      scores and damage
    method   of the vector; empty for words
    kept     similarities by name
    """

    experiment: str
    mode: str
    source: str
    target: str
    variant: str
    method: str
    nats: float | None
    plain: float
    clip: float
    row: Row
    kept: Mapping[str, Kept]

    @property
    def is_random(self) -> bool:
        """Whether the direction is random."""
        return is_random(self.variant)


def transfers(
    records: Sequence[Record],
    references: Sequence[Record],
    genres: Scorer,
    instruments: Scorer,
) -> list[Transfer]:
    """Every condition of both experiments.

    Args:
        records: of the study.
        references: of the given clips, with `name`.
        genres, instruments: scorers.
    """
    by_name = {one["name"]: one for one in references}
    measured = [
        *select(records, experiment=INSTRUMENT, mode=MELODY),
        *select(records, experiment=STYLE, mode=MELODY),
        *select(records, part="new"),
    ]
    groups = by_facts(measured, "experiment", "mode", "source", "target", "variant", "nats")
    found = []
    for key, takes in groups.items():
        experiment, mode, source, target, variant, nats = key
        if variant == "plain":
            continue
        plain = groups[experiment, mode, source, target, "plain", None]
        scores = _scores(experiment, source, target, genres, instruments)
        read = scores["pair"]
        found.append(
            Transfer(
                experiment,
                mode,
                source,
                target,
                variant,
                takes[0].get("method", ""),
                nats,
                _mean([read(one) for one in plain]),
                _mean([read(by_name[one["clip"]]) for one in plain]),
                row_of(plain, takes, scores),
                {
                    name: _kept(plain, takes, by_name, similarity)
                    for name, similarity in _similarities(mode).items()
                    if name in takes[0]
                },
            )
        )
    return found


def _scores(
    experiment: str, source: str, target: str, genres: Scorer, instruments: Scorer
) -> dict[str, Score]:
    """Scores; of an instrument, the paper's is among the three of its table."""
    if experiment == STYLE:
        return genres.scores(target, source)
    among = [one.target for one in INSTRUMENTS]
    found = instruments.scores(target, "")
    return {"pair": lambda one: instruments.texts.probability(one, target, among), **found}


def _similarities(mode: str) -> dict[str, Similarity]:
    """Similarity of a take and a clip, by the group of measures that it is computed from."""
    if mode == CONTINUED:
        return {
            "chroma": lambda one, clip: mean_chroma_similarity(
                one["mean_chroma"], clip["mean_chroma"]
            ),
            "notes": lambda one, clip: pitch_class_overlap(one["notes"], clip["notes"]),
        }
    return {
        "chroma": lambda one, clip: chroma_similarity(one["chroma"], clip["chroma"]),
        "notes": lambda one, clip: _f1(note_agreement(clip["notes"], one["notes"])),
    }


def _f1(agreement: NoteAgreement | None) -> float | None:
    return None if agreement is None else agreement.f1


def _kept(
    plain: Sequence[Record],
    takes: Sequence[Record],
    clips: Mapping[Any, Record],
    similarity: Similarity,
) -> Kept:
    before = same_prompts(plain, takes)
    own, of_plain = (
        [similarity(one, clips[one["clip"]]) for one in some] for some in (takes, before)
    )
    others = [
        similarity(one, clips[other["clip"]])
        for one, other in zip(takes, [*takes[1:], takes[0]], strict=True)
        if one["clip"] != other["clip"]
    ]
    return Kept(effect(of_plain, own, "difference"), _mean(own), _mean(of_plain), _mean(others))


def _mean(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")
