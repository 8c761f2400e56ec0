"""Transfer of instruments and styles: given clips, continued or rendered anew with their melody.

A continuation keeps the first part of the clip, and its new part is measured alone. A take with the
clip's melody is the model's own from its first frame on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tonearm.generation.request import TakeRequest
from tonearm.steering import Steer, Steering
from tonearm.studies.panda2025.context import Context, GivenClip
from tonearm.studies.panda2025.design import INSTRUMENTS, Design, plain_name
from tonearm.studies.panda2025.trials import GROUPS, TAGGED
from tonearm.studies.panda2025.variants import (
    VectorName,
    every_layer,
    instrument_vector,
    pair_vector,
    random_variant,
)
from tonearm.studies.plan import Found, Processing, Trial

CLIP_SEED = 36_000
PROMPT, WORDED = "a track", "a {} track"
CONTINUED, MELODY = "continued", "melody"
INSTRUMENT, STYLE = "instruments", "styles"


def clip_vectors(context: Context) -> list[VectorName]:
    """Vectors that act on given clips."""
    return [vector for *_, vector in _transfers(context)]


def _transfers(context: Context) -> list[tuple[str, str, str, VectorName]]:
    """Experiment, source (a genre, or empty for all other instruments), target and vector."""
    instruments = [(INSTRUMENT, "", one.target, instrument_vector(one)) for one in INSTRUMENTS]
    styles = [
        (STYLE, pair.source, pair.target, pair_vector(pair)) for pair in context.style_pairs()
    ]
    return instruments + styles


def given_of(context: Context, source: str) -> list[GivenClip]:
    """Clips of a source genre; without one, those without the instruments of table III."""
    found = [one for one in context.given if is_given(one.genre, one.lead, source)]
    return found[: context.design.clips]


def is_given(genre: str, lead: str, source: str) -> bool:
    """Whether a piece serves as a clip of a source genre, or of instruments where it is empty."""
    if source:
        return plain_name(genre) == plain_name(source)
    return lead not in {one.target for one in INSTRUMENTS}


def clips(context: Context, found: Found) -> list[Trial]:
    """Plain takes, steered ones, and the controls of both modes."""
    trials: list[Trial] = []
    for mode in context.modes:
        for experiment, source, target, vector in _transfers(context):
            facts = {"experiment": experiment, "mode": mode, "source": source, "target": target}
            given = given_of(context, source)
            trials += _takes(context, given, {**facts, "variant": "plain"})
            words = {**facts, "variant": "target's word"}
            trials += _takes(context, given, words, prompt=WORDED.format(target))
            divergences = context.design.clip_divergences
            control = random_variant(vector, 0), divergences[:1]
            for variant, levels in ((every_layer(vector), divergences), control):
                for nats in levels:
                    alpha = context.alpha(variant, found, nats)
                    steered = {**facts, "variant": variant.name, "alpha": alpha, "nats": nats}
                    trials += _takes(context, given, steered, [variant.steer(alpha)])
    return trials


def _takes(
    context: Context,
    given: Sequence[GivenClip],
    facts: Mapping[str, Any],
    steers: Sequence[Steer] = (),
    prompt: str = PROMPT,
) -> list[Trial]:
    design, is_continued = context.design, facts["mode"] == CONTINUED
    kept = kept_seconds(design)
    return [
        Trial(
            TakeRequest(
                prompt,
                CLIP_SEED + index,
                Steering(steers=tuple(steers)),
                seconds=design.seconds - kept if is_continued else design.seconds,
                continue_from=one.clip.first(kept) if is_continued else None,
                melody=None if is_continued else one.clip,
            ),
            {**facts, "clip": one.name, "prompt": index, "seed": CLIP_SEED + index},
            GROUPS if is_continued else (*TAGGED, *context.harmony),
            text=PROMPT,
        )
        for index, one in enumerate(given)
    ]


def kept_seconds(design: Design) -> float:
    """Length of what a continuation keeps: half of a take."""
    return design.seconds / 2


def new_parts(context: Context, found: Found) -> list[Trial]:
    """The new part of each continuation."""
    excerpt = Processing("excerpt", {"start": kept_seconds(context.design)})
    return [
        replace(
            trial,
            facts={**trial.facts, "part": "new"},
            groups=(*TAGGED, *context.harmony),
            processing=excerpt,
        )
        for trial in clips(context, found)
        if trial.facts["mode"] == CONTINUED
    ]
