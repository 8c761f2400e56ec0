"""Row of the effects study: one condition's measures against no steering, with its costs.

BPM counts in takes whose beat is confirmed, under both conditions; the share of such takes is
beside it. Costs: takes with a fault, pulse clarity, and the CLAP score of take and prompt.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tonearm.stats.effect import Effect, effect
from tonearm.studies.effects_conditions import Condition
from tonearm.studies.records import Record, values_of
from tonearm.studies.scales import scale_of

TRACKERS = ("tempo", "bundled_tempo")  # measures with a confirmed beat or None
MEASURES = (
    *TRACKERS,
    "onset_rate",
    "onset_rate_superflux",
    "spectral_centroid",
    "loudness",
    "pulse_clarity",
    "clap_score",
)
FAULTS = {
    "no pulse": "no pulse",
    "a tone held": "held tone",
    "tonal energy in held tones": "held share",
    "static spectrum": "static",
    "samples clipped": "clipped",
    "silent": "silent",
    "DC offset": "DC offset",
    "NaN or infinite": "not finite",
    "no samples": "no samples",
}


@dataclass(frozen=True)
class Counts:
    """Takes of a condition by their beats and faults.

    Attributes:
        takes: number.
        confirmed: takes with a confirmed beat, by tracker's measure.
        faulty: takes with any fault.
        faults: takes with each kind of fault, most frequent first; a take may have several.
    """

    takes: int
    confirmed: Mapping[str, int]
    faulty: int
    faults: Mapping[str, int]


@dataclass(frozen=True)
class Row:
    """Takes of one condition against those without steering.

    Attributes:
        condition: of the takes.
        effects: by measure; changes of levels and scores are differences, the others relative.
        counts: of the takes.
    """

    condition: Condition
    effects: Mapping[str, Effect]
    counts: Counts


def row_of(condition: Condition, plain: Sequence[Record], takes: Sequence[Record]) -> Row:
    """Summarise the takes of a condition.

    Args:
        condition: of the takes.
        plain: takes without steering.
        takes: of the same prompts.
    """
    effects = {
        measure: effect(values_of(plain, measure), values_of(takes, measure), scale_of(measure))
        for measure in MEASURES
    }
    return Row(condition, effects, count(takes))


def count(takes: Sequence[Record]) -> Counts:
    """Count confirmed beats and faults."""
    kinds = Counter(kind for take in takes for kind in {fault_kind(one) for one in take["faults"]})
    return Counts(
        takes=len(takes),
        confirmed={
            tracker: sum(value is not None for value in values_of(takes, tracker))
            for tracker in TRACKERS
        },
        faulty=sum(bool(take["faulty"]) for take in takes),
        faults=dict(kinds.most_common()),
    )


def fault_kind(fault: str) -> str:
    """Short name of the kind of a fault, of its words in `tonearm.measures.faults`.

    Raises:
        ValueError: no kind is known.
    """
    for words, kind in FAULTS.items():
        if words in fault:
            return kind
    raise ValueError(f"fault of no known kind: {fault!r}")
