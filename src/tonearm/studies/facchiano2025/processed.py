"""Plain takes with the mean effect of the vectors, by signal processing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tonearm.studies.facchiano2025.context import Context
from tonearm.studies.facchiano2025.design import SIGNS
from tonearm.studies.facchiano2025.trials import GROUPS
from tonearm.studies.plan import Found, Processing, Trial
from tonearm.studies.processing import matched_both, matched_shelf, matched_stretch
from tonearm.studies.prompt_takes import PromptSet, takes
from tonearm.studies.records import Record, select

Matched = Callable[[Sequence[Record], Sequence[Record], Found], Processing | None]
MATCHED: Mapping[str, Matched] = {
    "tempo": lambda plain, steered, found: matched_stretch(plain, steered),
    "brightness": matched_shelf,
}


def processed(context: Context, found: Found) -> list[Trial]:
    """Neutral and held-out takes, and fast but dark."""
    design = context.design
    neutral = select(found.records, experiment="plain")[: design.sweep]
    held_out = select(found.records, experiment="held-out plain")
    trials: list[Trial] = []
    for pair, match in MATCHED.items():
        for sign in SIGNS:
            common: dict[str, Any] = {"pair": pair, "sign": sign}
            whole = [
                one
                for one in select(found.records, experiment="steps", **common)
                if "first step" not in one["variant"]
            ]
            facts = {"experiment": "neutral processed", **common}
            trials += _processed(
                context, context.neutral_set(), design.sweep, facts, match(neutral, whole, found)
            )
            steered = select(found.records, experiment="table 1", rule="equal", **common)
            facts = {"experiment": "processed", **common}
            trials += _processed(
                context,
                context.held_out_set(),
                design.held_out,
                facts,
                match(held_out, steered, found),
            )
    both = select(found.records, experiment="fast but dark", variant="two vectors")
    return trials + _processed(
        context,
        context.held_out_set(),
        design.held_out,
        {"experiment": "fast but dark"},
        matched_both(held_out, both, found),
    )


def _processed(
    context: Context,
    prompts: PromptSet,
    count: int,
    facts: Mapping[str, Any],
    processing: Processing | None,
) -> list[Trial]:
    """Trials of processed plain takes; none where nothing can be matched."""
    if processing is None:
        return []
    labels = {"variant": processing.name, "processing": dict(processing.parameters)}
    return [
        replace(trial, processing=processing)
        for trial in takes(
            context.design.seconds, prompts, count, {**facts, **labels}, groups=GROUPS
        )
    ]
