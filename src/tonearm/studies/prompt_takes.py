"""Takes of the first prompts of a set under a steering, as trials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tonearm.generation.request import TakeRequest
from tonearm.steering import Steer, Steering
from tonearm.studies.plan import Trial


@dataclass(frozen=True)
class PromptSet:
    """Prompts and the seed of the first; prompt i has the seed `seed` + i."""

    texts: Sequence[str]
    seed: int


def takes(
    seconds: float,
    prompts: PromptSet,
    count: int,
    facts: Mapping[str, Any],
    steers: Sequence[Steer] = (),
    *,
    groups: tuple[str, ...],
    requested: Sequence[str] | None = None,
) -> list[Trial]:
    """Trials of the first prompts; the control text of a take is that of another prompt.

    Args:
        seconds: of each take.
        prompts: which the CLAP score compares the takes with.
        count: of prompts; all where it is larger.
        facts: of the records, which also have `prompt` and `seed`.
        steers: of all takes.
        groups: of measures.
        requested: texts that the takes are generated from, as many as the prompts; None for the
            prompts.
    """
    texts = prompts.texts[:count]
    return [
        Trial(
            TakeRequest(
                text if requested is None else requested[index],
                prompts.seed + index,
                Steering(steers=tuple(steers)),
                seconds=seconds,
            ),
            {**facts, "prompt": index, "seed": prompts.seed + index},
            groups,
            text=text,
            other_text=texts[index - 1],
        )
        for index, text in enumerate(texts)
    ]
