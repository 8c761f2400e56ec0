"""Stages of the study.

    plain      neutral and held-out prompts without steering, several takes of each, and one more as
               the level of sampling alone
    curves     divergence of every variant at rising sizes
    neutral    every layer set of every cell at equal divergence, which chooses one
    held out   every cell in its layer set at rising divergence, on prompts that chose nothing
    others     random directions in every layer set, and words in the prompt; pitch classes by the
               protocol of MusicRFM, and drums by that of SMITIN
    processed  plain takes through signal processing with the effect of DiffMean

A record has `experiment`, `split`, `round`, `prompt` and `seed`; of a steered take also `attribute`,
`condition`, `layers`, `nats` and `size`. Random directions belong to no attribute: their takes are
measured for all of them.
"""

from collections.abc import Callable, Mapping, Sequence

from tonearm.studies.effects_conditions import with_word
from tonearm.studies.methods2026.attributes import all_groups
from tonearm.studies.methods2026.choices import chosen_layer_set
from tonearm.studies.methods2026.context import Cell, Context
from tonearm.studies.methods2026.design import (
    HELD_OUT,
    NEUTRAL,
    OTHER_SEEDS,
    PLAIN,
    RANDOM,
    REPORTED,
    TRIED,
    WORD,
)
from tonearm.studies.methods2026.note_steering import (
    note_curves,
    note_groups,
    note_steering,
    note_variants,
)
from tonearm.studies.methods2026.processed import processed
from tonearm.studies.methods2026.stem_steering import stem_steering
from tonearm.studies.methods2026.trials import curve, takes
from tonearm.studies.model_groups import DIVERGENCE
from tonearm.studies.plan import Found, Trial


def plain(context: Context, found: Found) -> list[Trial]:
    """No steering."""
    rounds, groups = context.design.plain_seeds, all_groups(context.attributes)
    if note_variants(context):
        groups = tuple(dict.fromkeys((*groups, *note_groups(context))))
    experiments = [*[(PLAIN, number) for number in range(rounds)], (OTHER_SEEDS, rounds)]
    return [
        trial
        for split in (NEUTRAL, HELD_OUT)
        for experiment, number in experiments
        if split == HELD_OUT or experiment == PLAIN
        for trial in takes(
            context,
            split,
            {"experiment": experiment},
            groups=groups,
            round=number,
        )
    ]


def divergences(context: Context, found: Found) -> list[Trial]:
    """Divergence of every variant at rising sizes."""
    randoms = [variant for variant, _ in context.randoms()]
    variants = {one.name: one for one in (*context.variants(), *randoms)}
    trials = [trial for one in variants.values() for trial in curve(context, one)]
    return trials + note_curves(context)


def neutral(context: Context, found: Found) -> list[Trial]:
    """Every layer set of every cell at equal divergence."""
    return [
        trial
        for cell in context.cells()
        for layer_set in cell.condition.candidate.layer_sets
        if len(cell.condition.candidate.layer_sets) > 1
        for trial in _at(context, found, NEUTRAL, TRIED, cell, layer_set, context.design.choice)
    ]


def held_out(context: Context, found: Found) -> list[Trial]:
    """Every cell in its chosen layer set at rising divergence."""
    return [
        trial
        for cell in context.cells()
        for layer_set in [chosen_layer_set(found.records, cell, context.evaluators)]
        for nats in context.design.divergences
        for trial in _at(context, found, HELD_OUT, REPORTED, cell, layer_set, nats)
    ]


def _at(
    context: Context,
    found: Found,
    split: str,
    experiment: str,
    cell: Cell,
    layer_set: str,
    nats: float,
) -> list[Trial]:
    """A cell in a set of layers at a divergence; held-out takes have their own divergence, too."""
    variant = context.variant(cell, layer_set)
    size = context.size(variant, found, nats)
    facts = {
        "experiment": experiment,
        "attribute": cell.attribute.name,
        "condition": cell.condition.name,
        "layers": layer_set,
        "nats": nats,
        "size": size,
    }
    own = (DIVERGENCE,) if split == HELD_OUT else ()
    return takes(
        context, split, facts, [variant.steer(size)], groups=(*cell.attribute.groups, *own)
    )


def others(context: Context, found: Found) -> list[Trial]:
    """Controls, and the protocols of two papers."""
    return [
        *_random(context, found),
        *_words(context),
        *note_steering(context, found),
        *stem_steering(context),
    ]


def _random(context: Context, found: Found) -> list[Trial]:
    """Random directions at rising divergence."""
    trials: list[Trial] = []
    for variant, place in context.randoms():
        for nats in context.design.divergences:
            size = context.size(variant, found, nats)
            trials += takes(
                context,
                HELD_OUT,
                {"experiment": RANDOM, "nats": nats, "size": size, **place},
                [variant.steer(size)],
                groups=(*all_groups(context.attributes), DIVERGENCE),
            )
    return trials


def _words(context: Context) -> list[Trial]:
    """Words in the prompt."""
    return [
        trial
        for attribute in context.attributes
        if attribute.word
        for trial in takes(
            context,
            HELD_OUT,
            {"experiment": WORD, "attribute": attribute.name},
            groups=attribute.groups,
            requested=[with_word(text, attribute.word) for text in context.held_out],
        )
    ]


STAGES: Mapping[str, Callable[[Context, Found], Sequence[Trial]]] = {
    "plain": plain,
    "curves": divergences,
    "neutral": neutral,
    "held out": held_out,
    "others": others,
    "processed": processed,
}
