"""Trials of the study: takes of a genre's prompts under a steering."""

from collections.abc import Mapping, Sequence
from typing import Any

from tonearm.steering import Steer
from tonearm.studies.model_groups import DIVERGENCE
from tonearm.studies.panda2025.design import Design, prompts_of
from tonearm.studies.panda2025.variants import Variant
from tonearm.studies.plan import Trial
from tonearm.studies.prompt_takes import PromptSet
from tonearm.studies.prompt_takes import takes as takes_of_prompts

GROUPS = ("signal", "clap")
TAGGED = (*GROUPS, "tags")
SEEDS = {"neutral": 30_000, "held-out": 32_000}
OTHER_SEED, REFERENCE_SEED = 33_000, 34_000


def takes(
    design: Design,
    genre: str,
    split: str,
    count: int,
    facts: Mapping[str, Any],
    steers: Sequence[Steer] = (),
    *,
    seed: int | None = None,
    prompt_genre: str | None = None,
    groups: tuple[str, ...] = GROUPS,
) -> list[Trial]:
    """Trials of a genre's prompts.

    Args:
        design: sizes.
        genre: of the prompts, which the CLAP score compares the takes with.
        split: neutral or held-out.
        count: of prompts.
        facts: of the records.
        steers: of all takes.
        seed: of the first take; by default that of the split.
        prompt_genre: in the prompts that the takes are generated from; by default `genre`.
        groups: of measures.
    """
    first = SEEDS[split] if seed is None else seed
    texts, given = (prompts_of(one, split, count) for one in (genre, prompt_genre or genre))
    return takes_of_prompts(
        design.seconds,
        PromptSet(texts, first),
        count,
        {"source": genre, "split": split, **facts},
        steers,
        groups=groups,
        requested=given,
    )


def curve(design: Design, genre: str, variant: Variant) -> list[Trial]:
    """Divergences of a variant at the strengths of its curve, on neutral prompts of a genre."""
    return [
        trial
        for alpha in design.curve
        for trial in takes(
            design,
            genre,
            "neutral",
            design.curve_prompts,
            {"experiment": DIVERGENCE, "variant": variant.name, "sign": "+", "strength": alpha},
            [variant.steer(alpha)],
            groups=(DIVERGENCE,),
        )
    ]
