"""Trials of a variant in both signs, and at the strengths of its divergence curve."""

from collections.abc import Mapping
from typing import Any

from tonearm.studies.facchiano2025.design import SIGNS, Design
from tonearm.studies.facchiano2025.variants import Variant
from tonearm.studies.model_groups import DIVERGENCE
from tonearm.studies.plan import Trial
from tonearm.studies.prompt_takes import PromptSet, takes

GROUPS = ("signal", "beats", "clap")
ALL_GROUPS = (*GROUPS, "tags")
NEUTRAL_SEED, OTHER_SEED, HELD_OUT_SEED, CLASS_SEED = 10_000, 11_000, 12_000, 14_000
REFERENCE_SEEDS = (15_000, 16_000)  # of unsteered takes that FAD and KAD are measured against


def signed(
    design: Design,
    prompts: PromptSet,
    count: int,
    experiment: str,
    variant: Variant,
    strengths: Mapping[str, float],
    *,
    groups: tuple[str, ...] = GROUPS,
    **facts: Any,
) -> list[Trial]:
    """Trials of both signs of a variant, each at its strength.

    Args:
        design: sizes.
        prompts: of the takes.
        count: of prompts.
        experiment: of the records.
        variant: how the vector is injected.
        strengths: by sign.
        groups: of measures.
        facts: further ones of the records.
    """
    return [
        trial
        for sign, strength in strengths.items()
        for trial in takes(
            design.seconds,
            prompts,
            count,
            {
                "experiment": experiment,
                "variant": variant.name,
                "pair": variant.pair,
                "sign": sign,
                "strength": strength,
                **facts,
            },
            [variant.steer(SIGNS[sign] * strength)],
            groups=groups,
        )
    ]


def curve(design: Design, prompts: PromptSet, variant: Variant) -> list[Trial]:
    """Divergences of a variant at the strengths of its curve."""
    return [
        trial
        for strength in design.curve
        for trial in signed(
            design,
            prompts,
            design.curve_prompts,
            "divergence",
            variant,
            dict.fromkeys(SIGNS, strength),
            groups=(DIVERGENCE,),
        )
    ]
