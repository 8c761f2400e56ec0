"""Stages of the study.

    plain      prompts of the source genres without steering, with other seeds, and prompts of the
               target genres
    curves     divergence of every variant at rising α
    neutral    the paper's method at rising divergence, at both sites: α curves, and the choice of α
               for the tables; the ridge family at equal divergence
    held out   tables I and II on prompts that chose nothing: methods, sites and placements at equal
               divergence and at equal α, the paper's method at the chosen α, controls, and two
               genres at once
    clips      table III and style transfer: a given clip continued, and rendered anew with its
               melody
    new parts  of the continuations, the new part alone

A record has `experiment`, `variant`, `source`, `target`, `site`, `method`, `alpha`, `prompt` and
`seed`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tonearm.studies.panda2025.choices import chosen_alpha
from tonearm.studies.panda2025.clips import clip_vectors, clips, new_parts
from tonearm.studies.panda2025.context import Context
from tonearm.studies.panda2025.design import PAPER_METHOD, SITES, GenrePair
from tonearm.studies.panda2025.trials import (
    OTHER_SEED,
    REFERENCE_SEED,
    SEEDS,
    TAGGED,
    curve,
    takes,
)
from tonearm.studies.panda2025.variants import (
    Variant,
    VectorName,
    best_layer,
    every_layer,
    pair_vector,
    random_variant,
)
from tonearm.studies.plan import Found, Trial

EQUAL_NORM, EQUAL_DIVERGENCE = "equal norm", "equal divergence"


def plain(context: Context, found: Found) -> list[Trial]:
    """No steering."""
    design = context.design
    trials: list[Trial] = []
    for genre in context.sources():
        for experiment, split, count, seed in (
            ("plain", "neutral", design.neutral, SEEDS["neutral"]),
            ("plain", "held-out", design.held_out, SEEDS["held-out"]),
            ("other seeds", "held-out", design.held_out, OTHER_SEED),
            ("reference", "neutral", design.held_out, REFERENCE_SEED),
        ):
            facts = {"experiment": experiment, "variant": experiment}
            trials += takes(design, genre, split, count, facts, seed=seed, groups=TAGGED)
    return trials


def divergences(context: Context, found: Found) -> list[Trial]:
    """Divergence of every variant at rising α."""
    variants = {
        variant.name: (pair.source, variant)
        for pair in context.pairs
        for variant in _all_variants(context, pair)
    }
    for vector in clip_vectors(context):
        for variant in (every_layer(vector), random_variant(vector, 0)):
            variants.setdefault(variant.name, (context.sources()[0], variant))
    return [
        trial
        for genre, variant in variants.values()
        for trial in curve(context.design, genre, variant)
    ]


def _all_variants(context: Context, pair: GenrePair) -> list[Variant]:
    """Variants of a pair whose α is that of a divergence."""
    design = context.design
    methods = [(site, method) for site in SITES for method in design.methods]
    if pair in context.ridge_pairs():
        methods += [(pair.site, method) for method in design.ridge]
    if pair in context.stacked_pairs():
        methods.append(("residual", PAPER_METHOD))
    vectors = dict.fromkeys(pair_vector(pair, site, method) for site, method in methods)
    return [
        *(every_layer(vector) for vector in vectors),
        _in_best_layer(context, pair_vector(pair)),
        *_randoms(context, pair),
    ]


def _in_best_layer(context: Context, vector: VectorName) -> Variant:
    return best_layer(vector, context.best_layers[str(vector)])


def _randoms(context: Context, pair: GenrePair) -> list[Variant]:
    return [random_variant(pair_vector(pair), index) for index in range(context.design.random)]


def neutral(context: Context, found: Found) -> list[Trial]:
    """α curves and the ridge family, on neutral prompts."""
    design = context.design
    trials: list[Trial] = []
    for pair in context.pairs:
        for site in SITES:
            variant = every_layer(pair_vector(pair, site))
            for divergence in design.divergences:
                alpha = context.alpha(variant, found, divergence)
                facts = {**_facts(pair, "strengths", variant, alpha), "site": site}
                facts |= {"method": PAPER_METHOD, "nats": divergence}
                trials += takes(
                    design, pair.source, "neutral", design.neutral, facts, [variant.steer(alpha)]
                )
    for pair in context.ridge_pairs():
        for method in design.ridge:
            variant = every_layer(pair_vector(pair, method=method))
            alpha = context.alpha(variant, found)
            facts = {**_facts(pair, "ridge", variant, alpha), "site": pair.site, "method": method}
            trials += takes(
                design, pair.source, "neutral", design.neutral, facts, [variant.steer(alpha)]
            )
    return trials


def _facts(
    pair: GenrePair, experiment: str, variant: Variant, alpha: float, **more: Any
) -> Mapping[str, Any]:
    return {
        "experiment": experiment,
        "variant": variant.name,
        "pair": pair.name,
        "target": pair.target,
        "alpha": alpha,
        **more,
    }


def held_out(context: Context, found: Found) -> list[Trial]:
    """Tables I and II with all variants and controls, and two genres at once."""
    trials: list[Trial] = []
    for pair in context.pairs:
        trials += _methods(context, found, pair)
        trials += _random(context, found, pair)
        trials += _words(context, pair)
    return trials + _stacked(context, found)


def _methods(context: Context, found: Found, pair: GenrePair) -> list[Trial]:
    """Methods and sites at equal divergence and at equal α, and the chosen α."""
    design = context.design
    own = every_layer(pair_vector(pair))
    trials: list[Trial] = []

    def add(variant: Variant, alpha: float, **facts: Any) -> None:
        # the tagger takes most of the time of all measures, and is for the paper's method
        groups = {"groups": TAGGED} if variant == own else {}
        labels = _facts(pair, facts.pop("experiment"), variant, alpha, **facts)
        trials.extend(
            takes(
                design,
                pair.source,
                "held-out",
                design.held_out,
                labels,
                [variant.steer(alpha)],
                **groups,  # type: ignore[arg-type]
            )
        )

    for site in SITES:
        for method in design.methods:
            variant = every_layer(pair_vector(pair, site, method))
            add(
                variant,
                context.alpha(variant, found),
                experiment="equal divergence",
                site=site,
                method=method,
            )
    in_best = _in_best_layer(context, pair_vector(pair))
    add(
        in_best,
        context.alpha(in_best, found),
        experiment="best layer",
        site=pair.site,
        method=PAPER_METHOD,
    )
    for method in design.methods:
        variant = every_layer(pair_vector(pair, method=method))
        add(
            variant,
            context.alpha(own, found),
            experiment="equal alpha",
            site=pair.site,
            method=method,
        )
    chosen = chosen_alpha(found.records, pair, context.texts)
    if chosen is not None:
        add(own, chosen, experiment="table", site=pair.site, method=PAPER_METHOD)
    return trials


def _random(context: Context, found: Found, pair: GenrePair) -> list[Trial]:
    """Random directions at the α of the vector, and at its divergence."""
    design = context.design
    own = context.alpha(every_layer(pair_vector(pair)), found)
    return [
        trial
        for draw, variant in enumerate(_randoms(context, pair))
        for rule, alpha in (
            (EQUAL_NORM, own),
            (EQUAL_DIVERGENCE, context.alpha(variant, found)),
        )
        for trial in takes(
            design,
            pair.source,
            "held-out",
            design.random_prompts,
            _facts(pair, "random", variant, alpha, site=pair.site, rule=rule, draw=draw),
            [variant.steer(alpha)],
            groups=TAGGED,
        )
    ]


def _words(context: Context, pair: GenrePair) -> list[Trial]:
    """Both genres in the prompt, and the target in place of the source."""
    design = context.design
    spoken = {"both words": f"{pair.source} {pair.target}", "target's word": pair.target}
    return [
        trial
        for name, words in spoken.items()
        for trial in takes(
            design,
            pair.source,
            "held-out",
            design.held_out,
            {"experiment": "word", "variant": name, "pair": pair.name, "target": pair.target},
            spoken=words,
            groups=TAGGED,
        )
    ]


def _stacked(context: Context, found: Found) -> list[Trial]:
    """Two genres at once, each at half of its α of equal divergence, and each alone at that α."""
    pairs = context.stacked_pairs()
    variants = [every_layer(pair_vector(pair, "residual")) for pair in pairs]
    steers = [
        variant.steer(context.alpha(variant, found) / len(pairs))
        for pair, variant in zip(pairs, variants, strict=True)
    ]
    sets = {pair.target: [steer] for pair, steer in zip(pairs, steers, strict=True)}
    sets[" and ".join(sets)] = steers
    return [
        trial
        for name, chosen in sets.items()
        if pairs
        for trial in takes(
            context.design,
            pairs[0].source,
            "held-out",
            context.design.held_out,
            {
                "experiment": "stacked",
                "variant": name,
                "targets": [pair.target for pair in pairs],
            },
            chosen,
        )
    ]


STAGES: Mapping[str, Callable[[Context, Found], Sequence[Trial]]] = {
    "plain": plain,
    "curves": divergences,
    "neutral": neutral,
    "held out": held_out,
    "clips": clips,
    "new parts": new_parts,
}
