"""Transfer of instruments and styles: given clips, continued or rendered anew with their melody.

A continuation keeps the first part of the clip, and its new part is measured alone. A take with the
clip's melody is the model's own from its first frame on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from tonearm.generation.request import TakeRequest
from tonearm.steering import Steer, Steering
from tonearm.studies.label_scores import plain_name
from tonearm.studies.panda2025.context import Context, GivenClip
from tonearm.studies.panda2025.design import (
    DIFFMEAN,
    INSTRUMENTS,
    PAPER_METHOD,
    Design,
)
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


@dataclass(frozen=True)
class ClipSteering:
    """A vector that acts on given clips.

    experiment   instruments or styles
    source       genre of the clips; empty for all other instruments
    target       label
    vector       direction
    divergences  at which it is injected
    """

    experiment: str
    source: str
    target: str
    vector: VectorName
    divergences: tuple[float, ...]


def clip_steerings(context: Context) -> list[ClipSteering]:
    """Vectors by the paper's method, and by DiffMean at the smallest divergence."""
    levels = context.design.clip_divergences
    methods = {PAPER_METHOD: levels, DIFFMEAN: levels[:1]}
    found = []
    for method, divergences in methods.items():
        for one in INSTRUMENTS:
            vector = instrument_vector(one, method)
            found.append(ClipSteering(INSTRUMENT, "", one.target, vector, divergences))
        for pair in context.style_pairs():
            vector = pair_vector(pair, method=method)
            found.append(ClipSteering(STYLE, pair.source, pair.target, vector, divergences))
    return found


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
    for mode, one in product(context.modes, clip_steerings(context)):
        facts = {
            "experiment": one.experiment,
            "mode": mode,
            "source": one.source,
            "target": one.target,
        }
        given = given_of(context, one.source)
        variants = {every_layer(one.vector): one.divergences}
        if one.vector.method == PAPER_METHOD:
            trials += _takes(context, given, {**facts, "variant": "plain"})
            words = {**facts, "variant": "target's word"}
            trials += _takes(context, given, words, prompt=WORDED.format(one.target))
            variants[random_variant(one.vector, 0)] = one.divergences[:1]
        for variant, nats in [(key, value) for key, levels in variants.items() for value in levels]:
            alpha = context.alpha(variant, found, nats)
            steered = {**facts, "variant": variant.name, "alpha": alpha, "nats": nats}
            steered["method"] = one.vector.method
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
