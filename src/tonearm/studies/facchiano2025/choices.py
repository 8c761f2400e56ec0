"""What the layer scan decides for later stages, as pure functions of its records.

best layer         the layer whose direction moves the attribute's measure most at equal
                   divergence, as the mean over both signs of the t-statistics of the change in
                   the sign's sense, on neutral prompts
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import fmean

from tonearm.stats.effect import Effect, effect
from tonearm.studies.facchiano2025.design import MEASURE, SIGNS
from tonearm.studies.records import Record, same_prompts, select, values_of
from tonearm.studies.scales import scale_of


@dataclass(frozen=True)
class LayerEffect:
    """Effect of one layer's direction in all layers, at equal divergence."""

    layer: int
    sign: str
    strength: float
    effect: Effect

    @property
    def score(self) -> float:
        """t-statistic of the change in the sign's sense."""
        return SIGNS[self.sign] * self.effect.t


def layer_effects(records: Sequence[Record], pair: str) -> list[LayerEffect]:
    """Effects of the layer scan of a pair, by layer and sign."""
    plain = select(records, experiment="plain")
    found = []
    scanned = select(records, experiment="layers", pair=pair)
    for layer, sign in sorted({(record["layer"], record["sign"]) for record in scanned}):
        takes = [one for one in scanned if (one["layer"], one["sign"]) == (layer, sign)]
        found.append(
            LayerEffect(layer, sign, takes[0]["strength"], compared(plain, takes, MEASURE[pair]))
        )
    return found


def best_layer(effects: Sequence[LayerEffect]) -> int:
    """The layer with the highest mean score over both signs; the first of equal ones. A layer
    without a score, for want of takes with the measure, is behind all others.
    """
    scores: dict[int, list[float]] = {}
    for one in effects:
        known = scores.setdefault(one.layer, [])
        if isfinite(one.score):
            known.append(one.score)
    ranks = {layer: fmean(known) if known else -inf for layer, known in scores.items()}
    return max(sorted(ranks), key=lambda layer: ranks[layer])


def compared(plain: Sequence[Record], takes: Sequence[Record], measure: str) -> Effect:
    """Effect of takes against the plain takes of the same prompts."""
    before = same_prompts(plain, takes)
    return effect(values_of(before, measure), values_of(takes, measure), scale_of(measure))
