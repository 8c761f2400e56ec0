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

from tonearm.stats.effect import Effect, effect
from tonearm.studies.effects_conditions import (
    ATTRIBUTES,
    PLAIN,
    RANDOM_SEEDS,
    SIGNS,
    amount_name,
    random_name,
)
from tonearm.studies.effects_rows import MEASURES, Counts, count
from tonearm.studies.records import Record, records_of
from tonearm.studies.scales import is_relative, scale_of

BOTH = "±"  # + against -
TINY = 1e-9


@dataclass(frozen=True)
class Spread:
    """Change of a measure by the vector and by each random direction of the same norm.

    Attributes:
        attribute: of the vector.
        sign: "+" or "-" against no steering, or "±" for + against -.
        measure: name.
        vector: its effect, on the prompts of the random directions.
        directions: effects by seed.
    """

    attribute: str
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

        def distance(change: float) -> float:
            return log(max(1 + change, TINY)) if is_relative(self.measure) else change

        limit, sense = distance(self.vector.change), copysign(1, self.vector.change)
        distances = [distance(change) for change in self.changes]
        if self.sign == BOTH:
            return sum(abs(one) >= abs(limit) for one in distances)
        return sum(sense * one >= abs(limit) for one in distances)


def spreads(records: Sequence[Record]) -> list[Spread]:
    """Compute the spread of every attribute, measure and sign that has records.

    A direction or vector with under two takes of a measure under both conditions, such as BPM where
    hardly any beat is confirmed, is left out.

    Args:
        records: of the study.

    Returns:
        Spreads in the order of attributes, measures and signs.
    """
    by_setting: dict[str, list[Record]] = {}
    for record in records:
        by_setting.setdefault(record["setting"], []).append(record)
    return [
        found
        for attribute in ATTRIBUTES
        for measure in MEASURES
        for sign in (*SIGNS, BOTH)
        if (found := _spread(by_setting, attribute, measure, sign))
    ]


@dataclass(frozen=True)
class RandomRow:
    """All random directions in place of an attribute's amount of 1 or -1.

    Attributes:
        attribute: whose norm they have.
        sign: of the amount.
        label: in tables.
        spreads: by measure, against no steering.
        counts: of the takes of all directions.
    """

    attribute: str
    sign: str
    label: str
    spreads: Mapping[str, Spread]
    counts: Counts


def random_rows(records: Sequence[Record], found: Sequence[Spread]) -> list[RandomRow]:
    """Collect the spreads of each attribute and sign, with the counts of their takes."""
    rows = []
    for attribute in ATTRIBUTES:
        for sign in SIGNS:
            own = {
                one.measure: one for one in found if (one.attribute, one.sign) == (attribute, sign)
            }
            seeds = RANDOM_SEEDS[attribute]
            names = {random_name(attribute, seed) + sign for seed in seeds}
            takes = [record for record in records if record["setting"] in names]
            if own:
                count_of = len({record["setting"] for record in takes})
                label = f"{count_of} random directions, {attribute} {sign}1"
                rows.append(RandomRow(attribute, sign, label, own, count(takes)))
    return rows


def _spread(
    by_setting: Mapping[str, Sequence[Record]], attribute: str, measure: str, sign: str
) -> Spread | None:
    def changed(
        more: str, less: str, prompts: set[int] | None = None
    ) -> tuple[Effect, set[int]] | None:
        """Effect of a vector or direction, and the prompts that it was measured on."""
        before = less if sign == BOTH else PLAIN.name
        after = less if sign == "-" else more
        takes = [
            {take["prompt"]: take for take in records_of(by_setting.get(one, ()), one)}
            for one in (before, after)
        ]
        common = sorted(set.intersection(*map(set, takes), *([prompts] if prompts else [])))
        earlier, later = ([take[prompt][measure]["value"] for prompt in common] for take in takes)
        found = effect(earlier, later, scale_of(measure))
        return (found, set(common)) if found.n >= 2 else None

    found = {
        seed: one
        for seed in RANDOM_SEEDS[attribute]
        for name in [random_name(attribute, seed)]
        if (one := changed(f"{name}+", f"{name}-"))
    }
    if not found:
        return None
    prompts = set.union(*(prompts for _, prompts in found.values()))
    names = (amount_name(attribute, "+"), amount_name(attribute, "-"))
    vector = changed(*names, prompts)
    if vector is None:
        return None
    directions = {seed: one for seed, (one, _) in found.items()}
    return Spread(attribute, sign, measure, vector[0], directions)
