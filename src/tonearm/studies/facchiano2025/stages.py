"""Stages of the study.

    plain       neutral prompts without steering, with the study's seeds and with others
    curves      divergence of every layer's direction, one-to-all, at rising strengths
    layers      fig. 4: every layer's direction at equal divergence
    variants    divergence of strategies, branches, steps, pairs and random directions
    choices     fig. 5 and 7: strengths; 3.3: strategies; A.1: steps; A.2: branches; fig. 8: set
                sizes; 5.2: further pairs; 6: two strengths; all on neutral prompts
    held out    Table 1 and fast but dark, on prompts that chose nothing, with controls
    processed   of held out, the plain takes through the filter or stretched to the same effect

A record has `experiment`, `variant`, `pair`, `sign`, `strength`, `prompt` and `seed`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from tonearm.generation.request import TakeRequest
from tonearm.steering import Schedule, Steer, Steering
from tonearm.studies.effects_conditions import with_word
from tonearm.studies.facchiano2025.choices import (
    Curve,
    best_layer,
    curves,
    equal_strength,
    layer_effects,
    select,
)
from tonearm.studies.facchiano2025.design import (
    BRANCHES,
    PAIR,
    PAPER_STRENGTH,
    SIGNS,
    STRATEGIES,
    WORDS,
    Design,
)
from tonearm.studies.facchiano2025.materials import Materials, random_name, subset_name
from tonearm.studies.model_groups import DIVERGENCE
from tonearm.studies.plan import Found, Processing, Stage, Study, Trial
from tonearm.studies.processing import matched_shelf, matched_stretch
from tonearm.studies.records import Record

NAME = "facchiano2025"
NEUTRAL_SEED, OTHER_SEED, HELD_OUT_SEED, CLASS_SEED = 10_000, 11_000, 12_000, 14_000
REFERENCE_SEEDS = (15_000, 16_000)  # of unsteered takes that FAD and KAD are measured against
GROUPS = ("signal", "beats", "clap")
ALL_OF_PAIRS = (*GROUPS, "tags")
PAIRS_OF_PAPER = tuple(PAIR.values())
FIRST_STEP = 0.02  # seconds; the first frame of every checkpoint


@dataclass(frozen=True)
class Variant:
    """One way to inject one vector.

    name    in the records
    pair    prompt pair that it is about
    vector  name of the vector
    fields  of the steer
    """

    name: str
    pair: str
    vector: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def steer(self, strength: float) -> Steer:
        return Steer(vector=self.vector, strength=strength, **self.fields)


class Stages:
    """The stages, as functions of what the earlier ones found.

    Args:
        design: sizes.
        materials: vectors.
        layers: of the checkpoint.
        neutral: prompts that choose.
        held_out: prompts of Table 1.
        pairs: prompts of each pair, positive and negative.
    """

    def __init__(
        self,
        design: Design,
        materials: Materials,
        layers: int,
        neutral: Sequence[str],
        held_out: Sequence[str],
        pairs: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    ) -> None:
        self._design, self._materials, self._layers = design, materials, layers
        self._neutral = tuple(neutral[: design.neutral])
        self._held_out = tuple(held_out[: design.held_out])
        self._pairs = pairs

    def study(self, details: Mapping[str, Any]) -> Study:
        stages: dict[str, Stage] = {
            "plain": self.plain,
            "curves": self.curves,
            "layers": self.layers,
            "variants": self.variants,
            "choices": self.choices,
            "held out": self.held_out,
            "processed": self.processed,
        }
        return Study(NAME, stages, self._materials.vectors, details)

    # trials

    def _takes(
        self,
        facts: Mapping[str, Any],
        count: int,
        steers: Sequence[Steer] = (),
        *,
        texts: Sequence[str] | None = None,
        requested: Sequence[str] | None = None,
        seed: int = NEUTRAL_SEED,
        groups: tuple[str, ...] = GROUPS,
    ) -> list[Trial]:
        """Trials of the first prompts under a steering; `requested` are the texts generated from."""
        prompts = (self._neutral if texts is None else tuple(texts))[:count]
        return [
            Trial(
                TakeRequest(
                    prompt if requested is None else requested[index],
                    seed + index,
                    Steering(steers=tuple(steers)),
                    seconds=self._design.seconds,
                ),
                {**facts, "prompt": index, "seed": seed + index},
                groups,
                text=prompt,
                other_text=prompts[index - 1],
            )
            for index, prompt in enumerate(prompts)
        ]

    def _signed(
        self,
        experiment: str,
        variant: Variant,
        strengths: Mapping[str, float],
        count: int,
        groups: tuple[str, ...] = GROUPS,
        **more: Any,
    ) -> list[Trial]:
        """Trials of both signs of a variant, each at its strength."""
        trials = []
        for sign, strength in strengths.items():
            facts = {
                "experiment": experiment,
                "variant": variant.name,
                "pair": variant.pair,
                "sign": sign,
                "strength": strength,
                **more,
            }
            steer = variant.steer(SIGNS[sign] * strength)
            trials += self._takes(facts, count, [steer], groups=groups)
        return trials

    def _curve(self, variant: Variant) -> list[Trial]:
        return [
            trial
            for strength in self._design.curve
            for trial in self._signed(
                "divergence",
                variant,
                dict.fromkeys(SIGNS, strength),
                self._design.curve_prompts,
                (DIVERGENCE,),
            )
        ]

    # variants

    def layer_variant(self, pair: str, layer: int) -> Variant:
        """A layer's direction in all layers."""
        return Variant(f"{pair}, layer {layer}", pair, pair, {"source_layer": layer})

    def strategy_variant(self, pair: str, strategy: str, layer: int) -> Variant:
        fields: dict[str, Any] = {"strategy": strategy}
        if strategy != "all-to-all":
            fields["source_layer"] = layer
        return Variant(f"{pair}, {strategy}", pair, pair, fields)

    def branch_variant(self, pair: str, branch: str, layer: int) -> Variant:
        return Variant(
            f"{pair}, branch {branch}", pair, pair, {"source_layer": layer, "branch": branch}
        )

    def first_step_variant(self, pair: str, layer: int) -> Variant:
        schedule = Schedule.window(0.0, FIRST_STEP)
        fields = {"source_layer": layer, "schedule": schedule}
        return Variant(f"{pair}, first step", pair, pair, fields)

    def random_variant(self, pair: str, index: int, layer: int) -> Variant:
        name = random_name(pair, index)
        return Variant(name, pair, name, {"source_layer": layer})

    def pair_variant(self, pair: str) -> Variant:
        """A further pair, each layer's direction in its own layer: no layer was chosen for it."""
        return Variant(f"{pair}, all-to-all", pair, pair, {"strategy": "all-to-all"})

    def further_pairs(self) -> list[str]:
        return [pair for pair in self._pairs if pair not in PAIRS_OF_PAPER]

    # stages

    def plain(self, found: Found) -> list[Trial]:
        trials = self._takes({"experiment": "plain", "variant": "plain"}, self._design.neutral)
        facts = {"experiment": "other seeds", "variant": "other seeds"}
        trials += self._takes(facts, self._design.neutral, seed=OTHER_SEED)
        for seed in REFERENCE_SEEDS:
            facts = {"experiment": "reference", "variant": f"reference {seed}"}
            trials += self._takes(facts, self._design.neutral, seed=seed)
        return trials

    def curves(self, found: Found) -> list[Trial]:
        return [
            trial
            for pair in PAIRS_OF_PAPER
            for layer in range(self._layers)
            for trial in self._curve(self.layer_variant(pair, layer))
        ]

    def layers(self, found: Found) -> list[Trial]:
        return [
            trial
            for pair in PAIRS_OF_PAPER
            for layer in range(self._layers)
            for variant in [self.layer_variant(pair, layer)]
            for trial in self._signed(
                "layers", variant, self._equal(variant, found), self._design.neutral, layer=layer
            )
        ]

    def variants(self, found: Found) -> list[Trial]:
        return [
            trial
            for variant in self._variants(found)
            if (variant.name, "+") not in _curves(found)
            for trial in self._curve(variant)
        ]

    def _variants(self, found: Found) -> list[Variant]:
        variants = []
        for pair in PAIRS_OF_PAPER:
            layer = self.best(pair, found)
            variants += [self.strategy_variant(pair, strategy, layer) for strategy in STRATEGIES]
            variants += [self.branch_variant(pair, branch, layer) for branch in BRANCHES]
            variants += [self.random_variant(pair, i, layer) for i in range(self._design.random)]
        return variants + [self.pair_variant(pair) for pair in self.further_pairs()]

    def best(self, pair: str, found: Found) -> int:
        """The layer that the scan chose."""
        return _best(found, pair)

    def _equal(self, variant: Variant, found: Found) -> dict[str, float]:
        """Strengths of the design's divergence by sign."""
        known = _curves(found)
        return {
            sign: equal_strength(known[variant.name, sign], self._design.divergence)
            for sign in SIGNS
        }

    def choices(self, found: Found) -> list[Trial]:
        design, trials = self._design, []
        for pair in PAIRS_OF_PAPER:
            layer = self.best(pair, found)
            best = self.layer_variant(pair, layer)
            equal = self._equal(best, found)
            for strength in design.strengths:
                both = dict.fromkeys(SIGNS, strength)
                trials += self._signed("strengths", best, both, design.sweep, (*GROUPS, DIVERGENCE))
            for strategy in STRATEGIES:
                variant = self.strategy_variant(pair, strategy, layer)
                trials += self._signed(
                    "strategies", variant, self._equal(variant, found), design.sweep
                )
            for branch in BRANCHES:
                variant = self.branch_variant(pair, branch, layer)
                trials += self._signed(
                    "branches", variant, self._equal(variant, found), design.sweep
                )
            trials += self._signed("steps", best, equal, design.sweep)
            trials += self._signed(
                "steps", self.first_step_variant(pair, layer), equal, design.sweep
            )
            for size in design.set_sizes:
                for draw in range(design.draws):
                    name = subset_name(pair, size, draw)
                    subset = Variant(name, pair, name, {"source_layer": layer})
                    trials += self._signed(
                        "set sizes", subset, equal, design.size_prompts, size=size, draw=draw
                    )
        return trials + self._further(found) + self._grid(found)

    def _further(self, found: Found) -> list[Trial]:
        """Further pairs: steered takes, and takes of the pair's own prompts for its classifier."""
        design, trials = self._design, []
        for pair in self._pairs:
            for pole, prompts in zip(SIGNS, self._pairs[pair], strict=True):
                facts = {
                    "experiment": "prompted",
                    "variant": f"{pair} {pole}",
                    "pair": pair,
                    "sign": pole,
                }
                trials += self._takes(
                    facts, design.class_prompts, texts=prompts, seed=CLASS_SEED, groups=ALL_OF_PAIRS
                )
        for pair in self.further_pairs():
            variant = self.pair_variant(pair)
            trials += self._signed(
                "pairs", variant, self._equal(variant, found), design.pair_prompts, ALL_OF_PAIRS
            )
        for pair in PAIRS_OF_PAPER:
            variant = self.strategy_variant(pair, "all-to-all", 0)
            trials += self._signed(
                "pairs", variant, self._equal(variant, found), design.pair_prompts, ALL_OF_PAIRS
            )
        facts = {"experiment": "plain of pairs", "variant": "plain"}
        return trials + self._takes(facts, design.pair_prompts, groups=ALL_OF_PAIRS)

    def _pair_steers(self, found: Found, factors: Mapping[str, float]) -> list[Steer]:
        """Both attributes at factors of their strengths of equal divergence."""
        steers = []
        for pair, factor in factors.items():
            if factor:
                best = self.layer_variant(pair, self.best(pair, found))
                strength = self._equal(best, found)["+" if factor > 0 else "-"]
                steers.append(best.steer(factor * strength))
        return steers

    def _grid(self, found: Found) -> list[Trial]:
        return [
            trial
            for tempo in self._design.grid
            for brightness in self._design.grid
            for trial in self._takes(
                {
                    "experiment": "grid",
                    "variant": f"tempo {tempo:+g}, brightness {brightness:+g}",
                    "tempo_factor": tempo,
                    "brightness_factor": brightness,
                },
                self._design.grid_prompts,
                self._pair_steers(found, {"tempo": tempo, "brightness": brightness}),
            )
        ]

    def held_out(self, found: Found) -> list[Trial]:
        design = self._design

        def takes(
            experiment: str,
            variant: str,
            steers: Sequence[Steer] = (),
            seed: int = HELD_OUT_SEED,
            requested: Sequence[str] | None = None,
            **facts: Any,
        ) -> list[Trial]:
            return self._takes(
                {"experiment": experiment, "variant": variant, **facts},
                design.held_out,
                steers,
                texts=self._held_out,
                requested=requested,
                seed=seed,
            )

        trials = takes("held-out plain", "plain")
        trials += takes("held-out other seeds", "other seeds", seed=HELD_OUT_SEED + 1000)
        for pair in PAIRS_OF_PAPER:
            layer = self.best(pair, found)
            best = self.layer_variant(pair, layer)
            equal = self._equal(best, found)
            for sign, factor in SIGNS.items():
                common: dict[str, Any] = {"pair": pair, "sign": sign}
                for label, strength in (("paper", PAPER_STRENGTH), ("equal", equal[sign])):
                    facts: dict[str, Any] = {**common, "strength": strength, "rule": label}
                    steers = [best.steer(factor * strength)]
                    trials += takes("table 1", best.name, steers, **facts)
                for index in range(design.random):
                    random = self.random_variant(pair, index, layer)
                    steers = [random.steer(factor * equal[sign])]
                    facts = {**common, "strength": equal[sign], "draw": index}
                    trials += takes("random", random.name, steers, **facts)
                word = WORDS[pair][list(SIGNS).index(sign)]
                worded = [with_word(text, word) for text in self._held_out]
                trials += takes("word", word, requested=worded, **common)
        both = {"tempo": 1.0, "brightness": -1.0}
        trials += takes("fast but dark", "two vectors", self._pair_steers(found, both))
        worded = [with_word(text, "fast dark") for text in self._held_out]
        return trials + takes("fast but dark", "two words", requested=worded)

    def processed(self, found: Found) -> list[Trial]:
        """Plain takes with the mean effect of the vector at equal divergence, by processing."""
        plain = select(found.records, experiment="held-out plain")
        trials = []
        for pair, process in MATCHED.items():
            for sign in SIGNS:
                steered = select(
                    found.records, experiment="table 1", pair=pair, sign=sign, rule="equal"
                )
                processing = process(plain, steered, found)
                if processing is None:
                    continue
                facts = {
                    "experiment": "processed",
                    "variant": processing.name,
                    "pair": pair,
                    "sign": sign,
                    "processing": dict(processing.parameters),
                }
                trials += [
                    replace(trial, processing=processing)
                    for trial in self._takes(
                        facts, self._design.held_out, texts=self._held_out, seed=HELD_OUT_SEED
                    )
                ]
        return trials


@lru_cache(maxsize=1)
def _curves(found: Found) -> dict[tuple[str, str], Curve]:
    """Divergence curves, once per stage."""
    return curves(found.records)


@lru_cache(maxsize=len(PAIRS_OF_PAPER))
def _best(found: Found, pair: str) -> int:
    """The layer that the scan chose, once per stage."""
    return best_layer(layer_effects(found.records, pair))


MATCHED: Mapping[str, Callable[[Sequence[Record], Sequence[Record], Found], Processing | None]] = {
    "tempo": lambda plain, steered, found: matched_stretch(plain, steered),
    "brightness": matched_shelf,
}
