"""Stages of the study.

    plain       neutral prompts without steering, with the study's seeds and with others
    curves      divergence of every layer's direction, one-to-all, at rising strengths
    layers      fig. 4: every layer's direction at equal divergence
    variants    divergence of strategies, branches, steps, pairs and random directions
    choices     fig. 5 and 7: strengths; 3.3: strategies; A.1: steps; A.2: branches; fig. 8: set
                sizes; 5.2: further pairs; 6: two strengths; all on neutral prompts
    controls    of these: random directions and words
    held out    Table 1 and fast but dark, on prompts that chose nothing, with controls
    processed   plain takes through a filter or stretched to the same effect

A record has `experiment`, `variant`, `pair`, `sign`, `strength`, `prompt` and `seed`.
"""

from functools import partial

from tonearm.studies.facchiano2025.context import PAIRS_OF_PAPER, Context, best, known_curves
from tonearm.studies.facchiano2025.design import BRANCHES, SIGNS, STRATEGIES
from tonearm.studies.facchiano2025.trials import (
    ALL_GROUPS,
    CLASS_SEED,
    GROUPS,
    NEUTRAL_SEED,
    OTHER_SEED,
    REFERENCE_SEEDS,
    curve,
    signed,
)
from tonearm.studies.facchiano2025.variants import (
    Variant,
    branch_variant,
    first_step_variant,
    layer_variant,
    pair_variant,
    random_variant,
    strategy_variant,
    subset_variant,
)
from tonearm.studies.model_groups import DIVERGENCE
from tonearm.studies.plan import Found, Trial
from tonearm.studies.prompt_takes import PromptSet, takes


def plain(context: Context, found: Found) -> list[Trial]:
    """Neutral prompts without steering."""
    design = context.design
    sets = [("plain", "plain", NEUTRAL_SEED), ("other seeds", "other seeds", OTHER_SEED)]
    sets += [("reference", f"reference {seed}", seed) for seed in REFERENCE_SEEDS]
    return [
        trial
        for experiment, variant, seed in sets
        for trial in takes(
            design.seconds,
            context.neutral_set(seed),
            design.neutral,
            {"experiment": experiment, "variant": variant},
            groups=GROUPS,
        )
    ]


def layer_curves(context: Context, found: Found) -> list[Trial]:
    """Divergence of every layer's direction."""
    return [
        trial
        for pair in PAIRS_OF_PAPER
        for layer in context.layers
        for trial in curve(context.design, context.neutral_set(), layer_variant(pair, layer))
    ]


def layers(context: Context, found: Found) -> list[Trial]:
    """Fig. 4."""
    return [
        trial
        for pair in PAIRS_OF_PAPER
        for layer in context.layers
        for variant in [layer_variant(pair, layer)]
        for trial in signed(
            context.design,
            context.neutral_set(),
            context.design.neutral,
            "layers",
            variant,
            context.equal(variant, found),
            layer=layer,
        )
    ]


def variant_curves(context: Context, found: Found) -> list[Trial]:
    """Divergence of all other ways of injection."""
    return [
        trial
        for variant in _variants(context, found)
        if (variant.name, "+") not in known_curves(found)
        for trial in curve(context.design, context.neutral_set(), variant)
    ]


def _variants(context: Context, found: Found) -> list[Variant]:
    variants = []
    for pair in PAIRS_OF_PAPER:
        layer = best(found, pair)
        variants += [strategy_variant(pair, strategy, layer) for strategy in STRATEGIES]
        variants += [branch_variant(pair, branch, layer) for branch in BRANCHES]
        variants += [random_variant(pair, i, layer) for i in range(context.design.random)]
    return variants + [pair_variant(pair) for pair in context.further_pairs()]


def choices(context: Context, found: Found) -> list[Trial]:
    """All experiments on neutral prompts but the layer scan."""
    return [
        *(trial for pair in PAIRS_OF_PAPER for trial in _of_pair(context, found, pair)),
        *_prompted(context),
        *_pairs(context, found),
        *_grid(context, found),
    ]


def _of_pair(context: Context, found: Found, pair: str) -> list[Trial]:
    """Strengths, strategies, branches, steps and set sizes."""
    design, layer = context.design, best(found, pair)
    swept = partial(signed, design, context.neutral_set(), design.sweep)
    variant = context.best_variant(pair, found)
    equal = context.equal(variant, found)
    trials: list[Trial] = []
    for strength in design.strengths:
        both = dict.fromkeys(SIGNS, strength)
        trials += swept("strengths", variant, both, groups=(*GROUPS, DIVERGENCE))
    for strategy in STRATEGIES:
        one = strategy_variant(pair, strategy, layer)
        trials += swept("strategies", one, context.equal(one, found))
    for branch in BRANCHES:
        one = branch_variant(pair, branch, layer)
        trials += swept("branches", one, context.equal(one, found))
    for one in (variant, first_step_variant(pair, layer)):
        trials += swept("steps", one, equal)
    for size in design.set_sizes:
        for draw in range(design.draws):
            trials += signed(
                design,
                context.neutral_set(),
                design.size_prompts,
                "set sizes",
                subset_variant(pair, size, draw, layer),
                equal,
                size=size,
                draw=draw,
            )
    return trials


def _prompted(context: Context) -> list[Trial]:
    """Takes of each pair's own prompts, which train its classifier."""
    return [
        trial
        for pair, poles in context.pairs.items()
        for sign, pole in poles.items()
        for trial in takes(
            context.design.seconds,
            PromptSet(pole.prompts, CLASS_SEED),
            context.design.class_prompts,
            {
                "experiment": "prompted",
                "variant": f"{pair} {sign}",
                "pair": pair,
                "sign": sign,
            },
            groups=ALL_GROUPS,
        )
    ]


def _pairs(context: Context, found: Found) -> list[Trial]:
    """Every pair, all-to-all, and the plain takes of the same prompts."""
    design = context.design
    trials: list[Trial] = []
    for pair in (*context.further_pairs(), *PAIRS_OF_PAPER):
        variant = pair_variant(pair)
        trials += signed(
            design,
            context.neutral_set(),
            design.pair_prompts,
            "pairs",
            variant,
            context.equal(variant, found),
            groups=ALL_GROUPS,
        )
    facts = {"experiment": "plain of pairs", "variant": "plain"}
    return trials + takes(
        design.seconds, context.neutral_set(), design.pair_prompts, facts, groups=ALL_GROUPS
    )


def _grid(context: Context, found: Found) -> list[Trial]:
    design = context.design
    return [
        trial
        for tempo in design.grid
        for brightness in design.grid
        for trial in takes(
            design.seconds,
            context.neutral_set(),
            design.grid_prompts,
            {
                "experiment": "grid",
                "variant": f"tempo {tempo:+g}, brightness {brightness:+g}",
                "tempo_factor": tempo,
                "brightness_factor": brightness,
            },
            context.pair_steers(found, {"tempo": tempo, "brightness": brightness}),
            groups=GROUPS,
        )
    ]
