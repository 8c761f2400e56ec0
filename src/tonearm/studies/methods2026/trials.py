"""Trials of the study: takes of its prompts under a steering."""

from collections.abc import Mapping, Sequence
from typing import Any

from tonearm.steering import Steer
from tonearm.studies.methods2026.context import SIGN, Context
from tonearm.studies.methods2026.design import HELD_OUT, NEUTRAL
from tonearm.studies.methods2026.variants import Variant
from tonearm.studies.model_groups import DIVERGENCE
from tonearm.studies.plan import Trial
from tonearm.studies.prompt_takes import PromptSet
from tonearm.studies.prompt_takes import takes as takes_of_prompts

SEEDS = {NEUTRAL: 40_000, HELD_OUT: 42_000}
SEED_STEP = 100  # between the seeds of two takes of one prompt


def takes(
    context: Context,
    split: str,
    facts: Mapping[str, Any],
    steers: Sequence[Steer] = (),
    *,
    groups: tuple[str, ...],
    round: int = 0,
    count: int | None = None,
    requested: Sequence[str] | None = None,
) -> list[Trial]:
    """Trials of all prompts of a split.

    Args:
        context: of the study.
        split: neutral or held-out.
        facts: of the records.
        steers: of all takes.
        groups: of measures.
        round: number of the take of each prompt; takes of different rounds have different seeds.
        count: of prompts; all by default.
        requested: texts that the takes are generated from; by default the prompts.
    """
    texts = context.neutral if split == NEUTRAL else context.held_out
    return takes_of_prompts(
        context.design.seconds,
        PromptSet(texts, SEEDS[split] + SEED_STEP * round),
        len(texts) if count is None else count,
        {"split": split, "round": round, **facts},
        steers,
        groups=groups,
        requested=requested,
    )


def curve(context: Context, variant: Variant) -> list[Trial]:
    """Divergences of a variant at the sizes of its operator, on neutral prompts."""
    return [
        trial
        for size in variant.operator.sizes
        for trial in takes(
            context,
            NEUTRAL,
            {"experiment": DIVERGENCE, "variant": variant.name, "sign": SIGN, "strength": size},
            [variant.steer(size)],
            groups=(DIVERGENCE,),
            count=context.design.curve_prompts,
        )
    ]
