"""What earlier stages decide for later ones, as pure functions of their records.

equal divergence   variants are compared at the strength at which the mean divergence of their
                   predictions is the design's, interpolated between the strengths of its curve
                   (logarithms of both)
best layer         the layer whose direction moves the attribute's measure most at equal
                   divergence, as the mean over both signs of the t-statistics of the change in
                   the sign's sense, on neutral prompts
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from statistics import fmean

import numpy as np

from tonearm.errors import TonearmError
from tonearm.stats.effect import Effect, effect
from tonearm.studies.facchiano2025.design import MEASURE, SIGNS
from tonearm.studies.records import Record, values_of
from tonearm.studies.scales import scale_of


@dataclass(frozen=True)
class Curve:
    """Mean divergence of a variant and sign at rising strengths; see `equal_strength`."""

    strengths: tuple[float, ...]
    divergences: tuple[float, ...]


def select(records: Sequence[Record], **facts: object) -> list[Record]:
    """Select the records with these facts, by prompt."""
    found = [one for one in records if all(one.get(key) == value for key, value in facts.items())]
    return sorted(found, key=lambda record: record["prompt"])


def curves(records: Sequence[Record]) -> dict[tuple[str, str], Curve]:
    """Divergence curves by variant and sign, of the records of the experiment "divergence"."""
    sums: dict[tuple[str, str], dict[float, list[float]]] = {}
    for record in select(records, experiment="divergence"):
        by_strength = sums.setdefault((record["variant"], record["sign"]), {})
        by_strength.setdefault(record["strength"], []).append(record["divergence"]["value"])
    return {
        key: Curve(tuple(sorted(found)), tuple(float(np.mean(found[one])) for one in sorted(found)))
        for key, found in sums.items()
    }


def equal_strength(curve: Curve, divergence: float) -> float:
    """Find the strength of a divergence.

    Beyond the ends of the curve its first or last two points are continued.

    Args:
        curve: of two strengths or more, with divergences above 0.
        divergence: nats per frame.

    Raises:
        TonearmError: the divergence does not rise with the strength.
    """
    x, y = np.log(curve.strengths), np.log(np.maximum(curve.divergences, 1e-9))
    target = np.log(divergence)
    y = np.maximum.accumulate(y)
    at = int(np.clip(np.searchsorted(y, target), 1, len(y) - 1))
    slope = (y[at] - y[at - 1]) / (x[at] - x[at - 1])
    if not slope > 0:
        raise TonearmError(
            f"the divergence does not rise from strength {curve.strengths[at - 1]:g} to "
            f"{curve.strengths[at]:g}, so that no strength has {divergence:g} nats per frame"
        )
    return float(f"{np.exp(x[at - 1] + (target - y[at - 1]) / slope):.4g}")


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
    by_prompt: Mapping[int, Record] = {record["prompt"]: record for record in plain}
    before = [by_prompt[record["prompt"]] for record in takes]
    return effect(values_of(before, measure), values_of(takes, measure), scale_of(measure))
