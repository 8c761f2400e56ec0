"""Stages of the study.

    plain      prompts of the source genres without steering, with the study's seeds and with others
    curves     divergence of every variant at rising α
    neutral    every method at rising divergence, at both sites: α curves, and the choices for the
               tables; the ridge family at equal divergence
    held out   tables I and II on prompts that chose nothing: methods, sites, forms and placements at
               equal divergence, methods at equal α, the choices, controls, and two genres at once
    clips      table III and style transfer: a given clip continued, and rendered anew with its
               melody
    new parts  of the continuations, the new part alone

A record has `experiment`, `variant`, `source`, `target`, `site`, `method`, `alpha`, `prompt` and
`seed`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from tonearm.backend import Site
from tonearm.studies.panda2025.choices import chosen
from tonearm.studies.panda2025.clips import clip_steerings, clips, new_parts
from tonearm.studies.panda2025.context import Context
from tonearm.studies.panda2025.design import PAPER_METHOD, PROMPTS, SITES, Design, GenrePair
from tonearm.studies.panda2025.trials import (
    GROUPS,
    OTHER_SEED,
    REFERENCE_SEED,
    SEEDS,
    TAGGED,
    curve,
    takes,
)
from tonearm.studies.panda2025.variants import (
    Form,
    Variant,
    best_layer,
    every_layer,
    is_random,
    pair_vector,
    random_variant,
)
from tonearm.studies.plan import Found, Trial

EQUAL_NORM, EQUAL_DIVERGENCE = "equal norm", "equal divergence"
# rows of the tables that neutral prompts choose: what may be chosen
CHOICES: Mapping[str, Callable[[GenrePair], dict[str, str]]] = {
    "chosen strength": lambda pair: {"site": pair.site, "method": PAPER_METHOD, "form": "blend"},
    "chosen method": lambda pair: {},
}


@dataclass(frozen=True)
class Condition:
    """A way to steer a pair, in every layer."""

    site: Site
    method: str
    form: Form = "blend"

    def variant(self, pair: GenrePair) -> Variant:
        return every_layer(pair_vector(pair, self.site, self.method), self.form)


def conditions(design: Design) -> list[Condition]:
    """Conditions of the α curves, of which neutral prompts choose."""
    forms: list[tuple[str, Form]] = [(method, "blend") for method in (*design.methods, PROMPTS)]
    forms += [(method, "rotate") for method in design.rotated]
    return [
        Condition(site, method, form)
        for site, (method, form) in product(SITES, forms)
        if method != PROMPTS or site == "residual"
    ]


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
            groups = TAGGED if split == "held-out" else GROUPS
            trials += takes(design, genre, split, count, facts, seed=seed, groups=groups)
    return trials


def divergences(context: Context, found: Found) -> list[Trial]:
    """Divergence of every variant at rising α."""
    variants = {
        variant.name: (pair.source, variant)
        for pair in context.pairs
        for variant in _all_variants(context, pair)
    }
    for one in clip_steerings(context):
        for variant in (every_layer(one.vector), random_variant(one.vector, 0)):
            if one.vector.method == PAPER_METHOD or not is_random(variant.name):
                variants.setdefault(variant.name, (context.sources()[0], variant))
    return [
        trial
        for genre, variant in variants.values()
        for trial in curve(context.design, genre, variant)
    ]


def _all_variants(context: Context, pair: GenrePair) -> list[Variant]:
    """Variants of a pair whose α is that of a divergence."""
    design = context.design
    members = conditions(design)
    if pair in context.ridge_pairs():
        members += [Condition(pair.site, method) for method in design.ridge]
    return [
        *(one.variant(pair) for one in members),
        *_forms(context, pair),
        *_randoms(context, pair),
    ]


def _forms(context: Context, pair: GenrePair) -> list[Variant]:
    """Other ways to inject the direction of the paper's method."""
    vector = pair_vector(pair)
    layer = context.best_layers[str(vector)]
    return [
        best_layer(vector, layer),
        every_layer(vector, "literal"),
        best_layer(vector, layer, "literal"),
        every_layer(vector, "rotate"),
    ]


def _randoms(context: Context, pair: GenrePair) -> list[Variant]:
    return [random_variant(pair_vector(pair), index) for index in range(context.design.random)]


def neutral(context: Context, found: Found) -> list[Trial]:
    """α curves and the ridge family, on neutral prompts."""
    design = context.design
    trials: list[Trial] = []
    for pair, one in product(context.pairs, conditions(design)):
        variant = one.variant(pair)
        for nats in design.divergences:
            alpha = context.alpha(variant, found, nats)
            facts = _facts(pair, "strengths", variant, alpha, nats=nats, **asdict(one))
            trials += takes(
                design, pair.source, "neutral", design.neutral, facts, [variant.steer(alpha)]
            )
    for pair in context.ridge_pairs():
        for method in design.ridge:
            one = Condition(pair.site, method)
            variant = one.variant(pair)
            alpha = context.alpha(variant, found)
            facts = _facts(pair, "ridge", variant, alpha, **asdict(one))
            trials += takes(
                design, pair.source, "neutral", design.neutral, facts, [variant.steer(alpha)]
            )
    return trials


def _facts(
    pair: GenrePair, experiment: str, variant: Variant, alpha: float, **more: Any
) -> dict[str, Any]:
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
    """Methods, sites and forms at equal divergence, methods at equal α, and the choices."""
    design = context.design
    paper = Condition(pair.site, PAPER_METHOD)
    trials: list[Trial] = []

    def add(
        experiment: str, one: Condition, alpha: float | None = None, used: Variant | None = None
    ) -> None:
        variant = used or one.variant(pair)
        # the tagger takes most of the time of all measures
        is_tagged = experiment in CHOICES or (one.method == PAPER_METHOD and used is None)
        chosen_alpha = context.alpha(variant, found) if alpha is None else alpha
        labels = {**asdict(one), "form": variant.form}
        trials.extend(
            takes(
                design,
                pair.source,
                "held-out",
                design.held_out,
                _facts(pair, experiment, variant, chosen_alpha, **labels),
                [variant.steer(chosen_alpha)],
                groups=TAGGED if is_tagged else GROUPS,
            )
        )

    for one in conditions(design):
        if one.form == "blend":
            add("equal divergence", one)
    for variant in _forms(context, pair):
        add("forms", paper, used=variant)
    for method in design.methods:
        alpha = context.alpha(paper.variant(pair), found)
        add("equal alpha", Condition(pair.site, method), alpha)
    for rule, limits in CHOICES.items():
        choice = chosen(found.records, pair, context.texts, **limits(pair))
        if choice is not None:
            add(rule, Condition(choice.site, choice.method, choice.form), choice.alpha)
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
            groups=TAGGED if rule == EQUAL_DIVERGENCE else GROUPS,
        )
    ]


def _words(context: Context, pair: GenrePair) -> list[Trial]:
    """Both genres in the prompt, and the target in place of the source."""
    design = context.design
    named = {"both words": f"{pair.source} {pair.target}", "target's word": pair.target}
    return [
        trial
        for name, words in named.items()
        for trial in takes(
            design,
            pair.source,
            "held-out",
            design.held_out,
            {"experiment": "word", "variant": name, "pair": pair.name, "target": pair.target},
            prompt_genre=words,
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
