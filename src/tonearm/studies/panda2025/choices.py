"""Choices on neutral prompts, as a pure function of the records.

rule   of the conditions tried, those that lose at most MAX_TEXT_LOSS of the cosine of take and prompt
       and have no more faulty takes than plain plus one standard error; of these the one with the
       highest mean pair score of the target
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean

from tonearm.backend import Site
from tonearm.studies.label_scores import LabelTexts
from tonearm.studies.panda2025.design import MAX_TEXT_LOSS, GenrePair
from tonearm.studies.panda2025.variants import Form
from tonearm.studies.records import Record, by_facts, mean_of, select


@dataclass(frozen=True)
class Choice:
    """Site, method, form and α of a pair."""

    site: Site
    method: str
    form: Form
    alpha: float


def chosen(
    records: Sequence[Record],
    pair: GenrePair,
    texts: LabelTexts,
    **facts: str,
) -> Choice | None:
    """Choose for a pair; None where every condition costs too much.

    Args:
        records: of the experiments "plain" and "strengths".
        pair: of the tables.
        texts: of the genres.
        facts: of the conditions that may be chosen, such as their site; all by default.
    """
    plain = select(records, experiment="plain", split="neutral", source=pair.source)
    tried = select(records, experiment="strengths", pair=pair.name, **facts)
    scores: dict[Choice, float] = {}
    for key, takes in by_facts(tried, "site", "method", "form", "alpha").items():
        score = mean_score(takes, texts, pair)
        if score is not None and _keeps_prompt(plain, takes):
            scores[Choice(*key)] = score
    return max(scores, key=lambda choice: scores[choice]) if scores else None


def mean_score(takes: Sequence[Record], texts: LabelTexts, pair: GenrePair) -> float | None:
    """Mean pair score of the target over the takes that sound; None where none does."""
    found = [texts.probability(one, pair.target, (pair.source, pair.target)) for one in takes]
    known = [score for score in found if score is not None]
    return fmean(known) if known else None


def _keeps_prompt(plain: Sequence[Record], takes: Sequence[Record]) -> bool:
    """Whether takes keep the prompt and are not faulty, against all plain takes."""
    loss = mean_of(plain, "clap_score") - mean_of(takes, "clap_score")
    before, after = (fmean(bool(one["faulty"]) for one in some) for some in (plain, takes))
    error = sqrt(max(before * (1 - before), 1 / len(takes)) / len(takes))
    return loss <= MAX_TEXT_LOSS and after <= before + error
