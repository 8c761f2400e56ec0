"""Plain takes through signal processing that has the mean effect of DiffMean at the largest divergence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from tonearm.studies.methods2026.context import Context
from tonearm.studies.methods2026.design import HELD_OUT, PLAIN, PROCESSED, REPORTED
from tonearm.studies.methods2026.trials import takes
from tonearm.studies.plan import Found, Processing, Trial
from tonearm.studies.processing import matched_both, matched_shelf, matched_stretch
from tonearm.studies.records import Record, select

REFERENCE = "diffmean"  # the condition whose effect is matched
MARGIN = 2.0  # of the separation of drums
Matched = Callable[[Sequence[Record], Sequence[Record], Found], Processing | None]
MATCHED: Mapping[str, Matched] = {
    "stretch": lambda plain, steered, found: matched_stretch(plain, steered),
    "shelf": matched_shelf,
    "stretch and shelf": matched_both,
    "harmonic part": lambda *_: Processing("harmonic part", {"margin": MARGIN}),
}


def processed(context: Context, found: Found) -> list[Trial]:
    """Held-out plain takes, for the attributes that have a processing."""
    plain = select(found.records, experiment=PLAIN, split=HELD_OUT, round=0)
    trials: list[Trial] = []
    for attribute in context.attributes:
        steered = select(
            found.records,
            experiment=REPORTED,
            attribute=attribute.name,
            condition=REFERENCE,
            nats=max(context.design.divergences),
        )
        if not (attribute.processing and steered):
            continue
        processing = MATCHED[attribute.processing](plain, steered, found)
        if processing is None:
            continue
        facts = {
            "experiment": PROCESSED,
            "attribute": attribute.name,
            "processing": processing.name,
            "parameters": dict(processing.parameters),
        }
        trials += [
            replace(trial, processing=processing)
            for trial in takes(context, HELD_OUT, facts, groups=attribute.groups)
        ]
    return trials
