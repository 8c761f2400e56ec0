"""Controls on neutral prompts: random directions at equal norm and at equal divergence, and words."""

from tonearm.studies.effects_conditions import with_word
from tonearm.studies.facchiano2025.context import PAIRS_OF_PAPER, Context, best
from tonearm.studies.facchiano2025.design import EQUAL_DIVERGENCE, EQUAL_NORM, SIGNS, WORDS
from tonearm.studies.facchiano2025.trials import ALL_GROUPS, GROUPS, signed
from tonearm.studies.facchiano2025.variants import random_variant
from tonearm.studies.plan import Found, Trial
from tonearm.studies.prompt_takes import takes


def controls(context: Context, found: Found) -> list[Trial]:
    """Controls of the experiments on neutral prompts."""
    return [
        *(trial for pair in PAIRS_OF_PAPER for trial in _random(context, found, pair)),
        *(trial for pair in PAIRS_OF_PAPER for trial in _words(context, pair)),
        *(trial for pair in context.pairs for trial in _words_of_pair(context, pair)),
    ]


def random_strengths(
    context: Context, found: Found, pair: str, index: int
) -> dict[str, dict[str, float]]:
    """Strengths of a random direction by rule and sign."""
    variant = random_variant(pair, index, best(found, pair))
    return {
        EQUAL_NORM: context.equal(context.best_variant(pair, found), found),
        EQUAL_DIVERGENCE: context.equal(variant, found),
    }


def _random(context: Context, found: Found, pair: str) -> list[Trial]:
    design = context.design
    return [
        trial
        for index in range(design.random)
        for rule, strengths in random_strengths(context, found, pair, index).items()
        for trial in signed(
            design,
            context.neutral_set(),
            design.control_prompts,
            "neutral random",
            random_variant(pair, index, best(found, pair)),
            strengths,
            groups=ALL_GROUPS if rule == EQUAL_DIVERGENCE else GROUPS,
            rule=rule,
            draw=index,
        )
    ]


def _words(context: Context, pair: str) -> list[Trial]:
    return [
        trial
        for sign, word in zip(SIGNS, WORDS[pair], strict=True)
        for trial in _worded(context, pair, sign, word, "neutral word", context.design.sweep)
    ]


def _words_of_pair(context: Context, pair: str) -> list[Trial]:
    return [
        trial
        for sign, pole in context.pairs[pair].items()
        if pole.word
        for trial in _worded(
            context,
            pair,
            sign,
            pole.word,
            "word of pair",
            context.design.pair_prompts,
            groups=ALL_GROUPS,
        )
    ]


def _worded(
    context: Context,
    pair: str,
    sign: str,
    word: str,
    experiment: str,
    count: int,
    groups: tuple[str, ...] = GROUPS,
) -> list[Trial]:
    """Takes of the first neutral prompts with a word in each."""
    prompts = context.neutral_set()
    return takes(
        context.design.seconds,
        prompts,
        count,
        {"experiment": experiment, "variant": f"word {word}", "pair": pair, "sign": sign},
        requested=[with_word(text, word) for text in prompts.texts],
        groups=groups,
    )
