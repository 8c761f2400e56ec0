"""Trials of the study: takes of the first prompts of a set under a steering."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tonearm.generation.request import TakeRequest
from tonearm.steering import Steer, Steering
from tonearm.studies.facchiano2025.design import SIGNS, Design
from tonearm.studies.facchiano2025.variants import Variant
from tonearm.studies.model_groups import DIVERGENCE
from tonearm.studies.plan import Trial

GROUPS = ("signal", "beats", "clap")
ALL_GROUPS = (*GROUPS, "tags")
NEUTRAL_SEED, OTHER_SEED, HELD_OUT_SEED, CLASS_SEED = 10_000, 11_000, 12_000, 14_000
REFERENCE_SEEDS = (15_000, 16_000)  # of unsteered takes that FAD and KAD are measured against


@dataclass(frozen=True)
class PromptSet:
    """Prompts and the seed of the first; prompt i has the seed `seed` + i."""

    texts: Sequence[str]
    seed: int


def takes(
    design: Design,
    prompts: PromptSet,
    count: int,
    facts: Mapping[str, Any],
    steers: Sequence[Steer] = (),
    *,
    requested: Sequence[str] | None = None,
    groups: tuple[str, ...] = GROUPS,
) -> list[Trial]:
    """Trials of the first prompts.

    Args:
        design: sizes.
        prompts: which the CLAP score compares the takes with.
        count: of prompts.
        facts: of the records.
        steers: of all takes.
        requested: texts that the takes are generated from; None for the prompts.
        groups: of measures.
    """
    texts = prompts.texts[:count]
    return [
        Trial(
            TakeRequest(
                text if requested is None else requested[index],
                prompts.seed + index,
                Steering(steers=tuple(steers)),
                seconds=design.seconds,
            ),
            {**facts, "prompt": index, "seed": prompts.seed + index},
            groups,
            text=text,
            other_text=texts[index - 1],
        )
        for index, text in enumerate(texts)
    ]


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
            design,
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
