"""Steering to a pitch class by MusicRFM's injection: unit directions times layer weights in all layers,
each gated at every frame with probability 0.3.

Rows: the directions of RFM and of DiffMean, and a random one, at equal divergence; RFM at the ends of
the paper's range of η, too. η is a length, which means as much as the activations are long, so that
its numbers do not carry over between checkpoints.

Readings of a take

    strongest   whether the pitch class is the strongest one of the mean chroma (the paper's accuracy
                is of a classifier of notes)
    share       share of the durations of all notes by basic-pitch that are of the pitch class

Source: Zhao et al. 2025 (MusicRFM).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from tonearm.datasets.rendering.tonal import PITCH_CLASSES as ALL_CLASSES
from tonearm.stats.effect import Effect, effect
from tonearm.stats.share import Share
from tonearm.steering import SteeringVector
from tonearm.studies.methods2026.attributes import NOTES
from tonearm.studies.methods2026.context import Context
from tonearm.studies.methods2026.design import ALL, HELD_OUT, PLAIN, RANDOM, Design
from tonearm.studies.methods2026.note_probes import PITCH_CLASSES, RFM, STEERED, note_vector
from tonearm.studies.methods2026.operators import GATED
from tonearm.studies.methods2026.responses import plain_means, prompt_share
from tonearm.studies.methods2026.trials import curve, takes
from tonearm.studies.methods2026.variants import Variant, random_name, scale_of
from tonearm.studies.model_groups import DIVERGENCE
from tonearm.studies.plan import Found, Trial
from tonearm.studies.records import Record, by_facts, select, values_of

EXPERIMENT = "note steering"
PUBLISHED = (0.15, 0.6)  # ends of the paper's η


def note_variants(context: Context) -> dict[tuple[str, str], Variant]:
    """Variants by pitch class and method; a random direction is the same for all classes."""
    found = {
        (pitch_class, method): _variant(context.vectors[note_vector(pitch_class, method)])
        for pitch_class in PITCH_CLASSES
        for method in STEERED
        if note_vector(pitch_class, method) in context.vectors
    }
    random = context.vectors.get(random_name("residual", 0))
    if found and random is not None:
        found |= {(pitch_class, RANDOM): _variant(random) for pitch_class in PITCH_CLASSES}
    return found


def _variant(vector: SteeringVector) -> Variant:
    name = f"{vector.name}, {GATED.name}, {ALL}"
    return Variant(name, vector.name, GATED, None, scale_of(vector, None))


def note_curves(context: Context) -> list[Trial]:
    """Divergence of the gated directions at rising sizes."""
    variants = {one.name: one for one in note_variants(context).values()}
    return [trial for one in variants.values() for trial in curve(context, one)]


def note_steering(context: Context, found: Found) -> list[Trial]:
    """Held-out prompts steered to a pitch class."""
    trials: list[Trial] = []
    for (pitch_class, method), variant in note_variants(context).items():
        sizes: list[tuple[dict[str, Any], float]] = []
        if method == RFM:
            sizes += [({"eta": eta}, eta / variant.scale) for eta in PUBLISHED]
        sizes += [
            ({"nats": nats}, context.size(variant, found, nats))
            for nats in context.design.note_divergences
        ]
        for level, size in sizes:
            facts = {
                "experiment": EXPERIMENT,
                "pitch_class": pitch_class,
                "method": method,
                "size": size,
                **level,
            }
            trials += takes(
                context,
                HELD_OUT,
                facts,
                [variant.steer(size)],
                groups=(*note_groups(context), DIVERGENCE),
            )
    return trials


def note_groups(context: Context) -> tuple[str, ...]:
    """Groups of measures of these takes, and of the plain ones that they are compared with."""
    return ("signal", "clap", "chroma", *((NOTES,) if context.has_notes else ()))


@dataclass(frozen=True)
class NoteResult:
    """A direction at one strength.

    facts      pitch class, method, size, and η or nats
    nats       mean divergence in nats per frame
    plain      share of plain takes whose strongest pitch class it is
    strongest  the same of the steered takes
    share      change of the share of note durations; None without basic-pitch
    text       change of the cosine of take and prompt
    """

    facts: Mapping[str, Any]
    nats: float
    plain: Share
    strongest: Share
    share: Effect | None
    text: Effect


def planned_notes(design: Design) -> int:
    """Takes of the stage."""
    levels = len(design.note_divergences)
    rows = len(PUBLISHED) + levels * (len(STEERED) + 1)
    return len(PITCH_CLASSES) * rows * design.held_out


def note_results(records: Sequence[Record]) -> list[NoteResult]:
    """Results of every direction and strength, in order."""
    plain = select(records, experiment=PLAIN, split=HELD_OUT)
    steered = select(records, experiment=EXPERIMENT)
    groups = by_facts(steered, "pitch_class", "method", "eta", "nats").values()
    found = [_result(plain, one) for one in groups]
    return sorted(found, key=lambda one: PITCH_CLASSES.index(one.facts["pitch_class"]))


def _result(plain: Sequence[Record], steered: Sequence[Record]) -> NoteResult:
    index = ALL_CLASSES.index(steered[0]["pitch_class"])
    has_notes = "notes" in steered[0]
    return NoteResult(
        facts={
            name: steered[0].get(name) for name in ("pitch_class", "method", "size", "eta", "nats")
        },
        nats=fmean(one["divergence"]["value"] for one in steered),
        plain=strongest_share(plain, index),
        strongest=strongest_share(steered, index),
        share=_share_change(plain, steered, index) if has_notes else None,
        text=effect(
            plain_means(plain, steered, lambda one: one["clap_score"]["value"]),
            values_of(steered, "clap_score"),
            "difference",
        ),
    )


def strongest_share(takes: Sequence[Record], index: int) -> Share:
    """Share of takes whose strongest pitch class is `index`, 0 for C; silent ones do not have it."""

    def is_strongest(one: Record) -> bool:
        chroma = one["mean_chroma"]
        return chroma is not None and int(np.argmax(chroma)) == index

    return prompt_share(takes, is_strongest)


def _share_change(plain: Sequence[Record], steered: Sequence[Record], index: int) -> Effect:
    def read(one: Record) -> float | None:
        return duration_share(one, index)

    return effect(plain_means(plain, steered, read), [read(one) for one in steered], "difference")


def duration_share(record: Record, index: int) -> float | None:
    """Share of the durations of a take's notes that are of a pitch class; None without notes."""
    notes = record["notes"]
    total = sum(end - start for start, end, _ in notes or [])
    if not total:
        return None
    own = sum(end - start for start, end, pitch in notes if int(pitch) % 12 == index)
    return float(own / total)
