"""Spread of an effect over random directions, beside that of the learned vector.

A random direction has no sign of its own, so one of them says little: on pocket, some directions
add onsets at + and remove them at -, others the reverse. The learned vector is therefore compared
with ten of them, on the same prompts with the same seeds.

    exceedance    directions that move a measure at least as far as the vector, of all; under the
                  hypothesis that the vector is one more random direction, k of 10 has the
                  probability (k + 1) / 11
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import copysign, log
from statistics import mean

from tonearm.studies.effects_trials import (
    ATTRIBUTES,
    GENTLE,
    RANDOM_SEEDS,
    Effect,
    Record,
    effect,
    of_condition,
    random_condition,
)

MEASURES = ("tempo", "bundled_tempo", "onset_rate", "spectral_centroid", "clap_score")
DIFFERENCES = ("clap_score",)  # changes as differences, the others relative
BOTH = "±"  # + against -


@dataclass(frozen=True)
class Spread:
    """Change of a measure by the vector and by each random direction of the same norm.

    Attributes:
        attribute: of the vector.
        size: absolute strength.
        sign: "+" or "-" against no steering, or "±" for + against -.
        measure: name.
        vector: its effect, on the prompts of the random directions.
        directions: effects by seed.
    """

    attribute: str
    size: float
    sign: str
    measure: str
    vector: Effect
    directions: Mapping[int, Effect]

    @property
    def changes(self) -> list[float]:
        """Changes of the directions, by seed."""
        return [found.change for found in self.directions.values()]

    @property
    def mean(self) -> float:
        return mean(self.changes)

    @property
    def exceedance(self) -> int:
        """Directions that move the measure at least as far as the vector.

        Against no steering: in the vector's own sense. For + against -, where the sign of a random
        direction is arbitrary: in either sense, on a log scale for relative changes.
        """
        relative = self.measure not in DIFFERENCES

        def distance(change: float) -> float:
            return log(1 + change) if relative else change

        limit, sense = distance(self.vector.change), copysign(1, self.vector.change)
        distances = [distance(change) for change in self.changes]
        if self.sign == BOTH:
            return sum(abs(one) >= abs(limit) for one in distances)
        return sum(sense * one >= abs(limit) for one in distances)


def spreads(records: Sequence[Record], strength: float) -> list[Spread]:
    """Compute the spread of every attribute, strength, measure and sign that has records.

    Args:
        records: of the study.
        strength: of its vectors; the gentlest one is the other.

    Returns:
        Spreads in the order of strengths, attributes, measures and signs.
    """
    by_condition: dict[str, list[Record]] = {}
    for record in records:
        by_condition.setdefault(record["condition"], []).append(record)
    return [
        found
        for size, suffix in ((strength, ""), (GENTLE[-1], f"{GENTLE[-1]:g}"))
        for attribute in ATTRIBUTES
        for measure in MEASURES
        for sign in ("+", "-", BOTH)
        if (found := _spread(by_condition, attribute, size, suffix, measure, sign))
    ]


def _spread(
    by_condition: Mapping[str, Sequence[Record]],
    attribute: str,
    size: float,
    suffix: str,
    measure: str,
    sign: str,
) -> Spread | None:
    def changed(name: str, prompts: set[int] | None = None) -> tuple[Effect, set[int]] | None:
        """Effect of the vector or direction `name`, and the prompts that it was measured on."""
        before = f"{name}-{suffix}" if sign == BOTH else "plain"
        after = f"{name}{'+' if sign == BOTH else sign}{suffix}"
        takes = [
            {take["prompt"]: take for take in of_condition(by_condition.get(one, ()), one)}
            for one in (before, after)
        ]
        common = sorted(set.intersection(*map(set, takes), *([prompts] if prompts else [])))
        if not common:
            return None
        earlier, later = ([take[prompt][measure]["value"] for prompt in common] for take in takes)
        return effect(earlier, later, relative=measure not in DIFFERENCES), set(common)

    found = {
        seed: one
        for seed in RANDOM_SEEDS[attribute]
        if (one := changed(random_condition(attribute, "", "", seed)))
    }
    if not found:
        return None
    prompts = set.union(*(prompts for _, prompts in found.values()))
    vector = changed(attribute, prompts)
    if vector is None:
        return None
    directions = {seed: one for seed, (one, _) in found.items()}
    return Spread(attribute, size, sign, measure, vector[0], directions)
