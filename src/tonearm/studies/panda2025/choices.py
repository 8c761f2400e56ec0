"""What the neutral prompts decide: α of each row of the tables, as a pure function of the records.

rule   of the strengths tried, those that lose at most MAX_TEXT_LOSS of the cosine of take and prompt
       and have no more faulty takes than plain plus one standard error; of these the one with the
       highest mean pair score of the target
"""

from collections.abc import Sequence
from math import sqrt
from statistics import fmean

from tonearm.studies.panda2025.design import MAX_TEXT_LOSS, GenrePair
from tonearm.studies.panda2025.scores import LabelTexts
from tonearm.studies.records import Record, mean_of, select


def chosen_alpha(records: Sequence[Record], pair: GenrePair, texts: LabelTexts) -> float | None:
    """α of a pair at its own site; None where every strength costs too much.

    Args:
        records: of the experiments "plain" and "strengths".
        pair: of the tables.
        texts: of the genres.
    """
    plain = select(records, experiment="plain", split="neutral", source=pair.source)
    tried = select(records, experiment="strengths", pair=pair.name, site=pair.site)
    scores: dict[float, float] = {}
    for alpha in sorted({record["alpha"] for record in tried}):
        takes = [one for one in tried if one["alpha"] == alpha]
        score = mean_score(takes, texts, pair)
        if score is not None and _is_whole(plain, takes):
            scores[alpha] = score
    return max(scores, key=lambda alpha: scores[alpha]) if scores else None


def mean_score(takes: Sequence[Record], texts: LabelTexts, pair: GenrePair) -> float | None:
    """Mean pair score of the target over the takes that sound; None where none does."""
    found = [texts.probability(one, pair.target, (pair.source, pair.target)) for one in takes]
    known = [score for score in found if score is not None]
    return fmean(known) if known else None


def _is_whole(plain: Sequence[Record], takes: Sequence[Record]) -> bool:
    """Whether takes keep the prompt and are not faulty, against all plain takes."""
    loss = mean_of(plain, "clap_score") - mean_of(takes, "clap_score")
    before, after = (fmean(bool(one["faulty"]) for one in some) for some in (plain, takes))
    error = sqrt(max(before * (1 - before), 1 / len(takes)) / len(takes))
    return loss <= MAX_TEXT_LOSS and after <= before + error
