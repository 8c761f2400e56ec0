"""Choice of layer sets on neutral prompts, as a pure function of the records.

rule   of the layer sets, that with the largest standardised change at equal divergence, as the mean
       over both readings of the attribute
"""

from collections.abc import Sequence
from math import isfinite, nan
from statistics import fmean

from tonearm.studies.methods2026.context import Cell
from tonearm.studies.methods2026.design import NEUTRAL, PLAIN, TRIED
from tonearm.studies.methods2026.readings import Evaluators
from tonearm.studies.methods2026.responses import Plain
from tonearm.studies.records import Record, by_facts, select


def scores_of_layer_sets(
    records: Sequence[Record], cell: Cell, evaluators: Evaluators
) -> dict[str, float]:
    """Mean standardised change by layer set; NaN where a reading has no number."""
    plain = Plain(select(records, experiment=PLAIN, split=NEUTRAL), evaluators)
    tried = select(
        records,
        experiment=TRIED,
        attribute=cell.attribute.name,
        condition=cell.condition.name,
    )
    return {
        layer_set: fmean(plain.mean_change(takes, one) for one in cell.attribute.readings)
        for (layer_set,), takes in by_facts(tried, "layers").items()
    }


def chosen_layer_set(records: Sequence[Record], cell: Cell, evaluators: Evaluators) -> str:
    """The layer set with the highest score; the first of equal ones, and of those without one."""
    sets = cell.condition.candidate.layer_sets
    if len(sets) == 1:
        return sets[0]
    scores = scores_of_layer_sets(records, cell, evaluators)

    def rank(layer_set: str) -> float:
        score = scores.get(layer_set, nan)
        return score if isfinite(score) else -float("inf")

    return max(sets, key=rank)
