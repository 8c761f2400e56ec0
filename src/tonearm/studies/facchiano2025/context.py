"""What the stages know beforehand, and what earlier stages decide for later ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tonearm.steering import Steer
from tonearm.studies.equal_divergence import Curve, curves, equal_strength
from tonearm.studies.facchiano2025.choices import best_layer, layer_effects
from tonearm.studies.facchiano2025.design import PAIR, SIGNS, Design
from tonearm.studies.facchiano2025.trials import HELD_OUT_SEED, NEUTRAL_SEED
from tonearm.studies.facchiano2025.variants import Variant, layer_variant
from tonearm.studies.plan import Found
from tonearm.studies.prompt_takes import PromptSet

PAIRS_OF_PAPER = tuple(PAIR.values())


@dataclass(frozen=True)
class Pole:
    """One end of a pair: its prompts, and the word for it; without a word there is no control."""

    prompts: Sequence[str]
    word: str | None


@dataclass(frozen=True)
class Context:
    """What the stages know beforehand.

    design    sizes
    layers    of the scan
    neutral   prompts that choose
    held_out  prompts of Table 1
    pairs     poles of each pair by sign
    """

    design: Design
    layers: Sequence[int]
    neutral: Sequence[str]
    held_out: Sequence[str]
    pairs: Mapping[str, Mapping[str, Pole]]

    def further_pairs(self) -> list[str]:
        return [pair for pair in self.pairs if pair not in PAIRS_OF_PAPER]

    def neutral_set(self, seed: int = NEUTRAL_SEED) -> PromptSet:
        return PromptSet(tuple(self.neutral[: self.design.neutral]), seed)

    def held_out_set(self, seed: int = HELD_OUT_SEED) -> PromptSet:
        return PromptSet(tuple(self.held_out[: self.design.held_out]), seed)

    def equal(self, variant: Variant, found: Found) -> dict[str, float]:
        """Strengths of the design's divergence by sign."""
        known = known_curves(found)
        return {
            sign: equal_strength(known[variant.name, sign], self.design.divergence)
            for sign in SIGNS
        }

    def best_variant(self, pair: str, found: Found) -> Variant:
        """The direction of the layer that the scan chose, in all layers."""
        return layer_variant(pair, best(found, pair))

    def pair_steers(self, found: Found, factors: Mapping[str, float]) -> list[Steer]:
        """Both attributes at factors of their strengths of equal divergence."""
        return [
            variant.steer(factor * self.equal(variant, found)["+" if factor > 0 else "-"])
            for pair, factor in factors.items()
            if factor
            for variant in [self.best_variant(pair, found)]
        ]


@lru_cache(maxsize=1)
def known_curves(found: Found) -> dict[tuple[str, str], Curve]:
    """Divergence curves, once per stage."""
    return curves(found.records)


@lru_cache(maxsize=len(PAIRS_OF_PAPER))
def best(found: Found, pair: str) -> int:
    """The layer that the scan chose, once per stage."""
    return best_layer(layer_effects(found.records, pair))
