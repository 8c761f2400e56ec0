"""Table 1 and "fast but dark" on prompts that chose nothing, with their controls."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tonearm.steering import Steer
from tonearm.studies.effects_conditions import with_word
from tonearm.studies.facchiano2025.context import PAIRS_OF_PAPER, Context, best
from tonearm.studies.facchiano2025.controls import random_strengths
from tonearm.studies.facchiano2025.design import PAPER_STRENGTH, SIGNS, WORDS
from tonearm.studies.facchiano2025.trials import GROUPS, HELD_OUT_SEED
from tonearm.studies.facchiano2025.variants import random_variant
from tonearm.studies.plan import Found, Trial
from tonearm.studies.prompt_takes import takes

OTHER_SEEDS = 1000  # after those of the held-out prompts
FAST_DARK = {"tempo": 1.0, "brightness": -1.0}


def held_out(context: Context, found: Found) -> list[Trial]:
    """All takes of held-out prompts but processed ones."""
    trials = _takes(context, "held-out plain", "plain")
    trials += _takes(
        context, "held-out other seeds", "other seeds", seed=HELD_OUT_SEED + OTHER_SEEDS
    )
    for pair in PAIRS_OF_PAPER:
        for sign in SIGNS:
            trials += _table_1(context, found, pair, sign)
            trials += _random(context, found, pair, sign)
            word = WORDS[pair][list(SIGNS).index(sign)]
            worded = [with_word(text, word) for text in context.held_out_set().texts]
            trials += _takes(
                context, "word", f"word {word}", requested=worded, pair=pair, sign=sign
            )
    return trials + _fast_dark(context, found)


def _takes(
    context: Context,
    experiment: str,
    variant: str,
    steers: Sequence[Steer] = (),
    seed: int = HELD_OUT_SEED,
    requested: Sequence[str] | None = None,
    **facts: Any,
) -> list[Trial]:
    return takes(
        context.design.seconds,
        context.held_out_set(seed),
        context.design.held_out,
        {"experiment": experiment, "variant": variant, **facts},
        steers,
        groups=GROUPS,
        requested=requested,
    )


def _table_1(context: Context, found: Found, pair: str, sign: str) -> list[Trial]:
    variant = context.best_variant(pair, found)
    strengths = {"paper": PAPER_STRENGTH, "equal": context.equal(variant, found)[sign]}
    return [
        trial
        for rule, strength in strengths.items()
        for trial in _takes(
            context,
            "table 1",
            variant.name,
            [variant.steer(SIGNS[sign] * strength)],
            pair=pair,
            sign=sign,
            strength=strength,
            rule=rule,
        )
    ]


def _random(context: Context, found: Found, pair: str, sign: str) -> list[Trial]:
    return [
        trial
        for index in range(context.design.random)
        for variant in [random_variant(pair, index, best(found, pair))]
        for rule, strengths in random_strengths(context, found, pair, index).items()
        for trial in _takes(
            context,
            "random",
            variant.name,
            [variant.steer(SIGNS[sign] * strengths[sign])],
            pair=pair,
            sign=sign,
            strength=strengths[sign],
            rule=rule,
            draw=index,
        )
    ]


def _fast_dark(context: Context, found: Found) -> list[Trial]:
    take = partial(_takes, context, "fast but dark")
    trials = take("two vectors", context.pair_steers(found, FAST_DARK))
    worded = [with_word(text, "fast dark") for text in context.held_out_set().texts]
    trials += take("two words", requested=worded)
    for index in range(context.design.random):
        steers = [
            random_variant(pair, index, best(found, pair)).steer(
                factor * context.equal(context.best_variant(pair, found), found)[sign]
            )
            for pair, factor in FAST_DARK.items()
            for sign in ["+" if factor > 0 else "-"]
        ]
        trials += take("two random directions", steers, draw=index)
    return trials
