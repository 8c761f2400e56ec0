"""Learning of a steering vector from two contrasting prompt sets."""

from collections.abc import Sequence

import torch

from tonearm import boundary
from tonearm.activations import CaptureSpec, RunningMoments, capture_rows
from tonearm.activations.capture import padded_lengths
from tonearm.errors import TonearmError
from tonearm.generation.check import check_seed
from tonearm.hashing import hash_texts
from tonearm.methods import method_named
from tonearm.methods.as_vector import as_vector
from tonearm.methods.base import Activations, Method, require_direction, site_of
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import Site, SteeringVector


def learn(
    model: Model,
    positive: Sequence[str],
    negative: Sequence[str],
    name: str,
    *,
    method: str = "diffmean",
    site: Site | None = None,
    pooling: str | None = None,
    positive_label: str = "more",
    negative_label: str = "less",
    batch_size: int = 16,
    seconds: float = 2.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> SteeringVector:
    """Learn the direction from `negative` to `positive` prompts at every layer. The model is not
    changed.

    Args:
        model: whose activations are captured.
        positive: prompts with the attribute.
        negative: prompts without it, or with its opposite.
        name: of the vector.
        method: a registered method (tonearm/methods), with its option: ridge:0.1.
        site: where activations are read, and where the vector will act; default: residual, or that
            of a method which reads one site alone (heads of iti and smitin).
        pooling: see tonearm/activations/pooling.py; default: eos on prefix checkpoints, else mean.
        positive_label: meaning of a positive strength.
        negative_label: meaning of a negative strength.
        batch_size: prompts per batch.
        seconds: of music per prompt, for poolings that need it.
        seed: of that music.
        progress: called with prompts done and prompts in all.

    Raises:
        TonearmError: an empty set or prompt, equal sets, an unknown method, site or pooling, or a
            prompt that is too long; before any capture. After it: too few prompts for the method,
            or no direction beyond chance.
    """
    boundary.instance(model, "model", Model, "a Model, as tonearm.load returns it")
    for argument, value in dict(
        name=name,
        method=method,
        positive_label=positive_label,
        negative_label=negative_label,
    ).items():
        boundary.text(value, argument)
    boundary.optional(boundary.text, site, "site")
    boundary.optional(boundary.text, pooling, "pooling")
    batch_size = boundary.integer(batch_size, "batch_size")
    seconds, seed = boundary.number(seconds, "seconds"), check_seed(seed)
    progress = boundary.optional(boundary.function, progress, "progress")
    chosen = method_named(method)
    site = site_of(chosen, site)
    positive, negative = _prompts(positive, "positive"), _prompts(negative, "negative")
    _check_prompts(positive, negative, name)
    padded_lengths(model.checkpoint, [*positive, *negative])
    shape = model.shape
    spec = CaptureSpec(site, pooling, batch_size, seconds, seed).resolved(shape)
    activations = _capture(model, positive, negative, spec, chosen, progress)
    provenance = dict(
        name=name,
        site=site,
        method=chosen.name,
        pooling=spec.pooling,
        positive_label=positive_label,
        negative_label=negative_label,
        positive_count=len(positive),
        negative_count=len(negative),
        data_hash=hash_texts(positive, negative),
        seed=seed,
    )
    fit = chosen.fit(activations)
    require_direction(fit, chosen.name)
    return as_vector(fit, activations, shape, provenance)


def _prompts(prompts: object, side: str) -> list[str]:
    allowed = "a list of prompts, at least one on each side"
    return boundary.sequence(prompts, side, boundary.text, allowed)


def _check_prompts(positive: Sequence[str], negative: Sequence[str], name: str) -> None:
    if not name.strip():
        raise TonearmError("the vector's name is empty; give one, such as tempo")
    for side, prompts in (("positive", positive), ("negative", negative)):
        if not prompts:
            raise TonearmError(f"{side} is empty; give at least one prompt on each side")
    if not all(prompt.strip() for prompt in (*positive, *negative)):
        raise TonearmError("a prompt is empty; describe music in each")
    if set(positive) == set(negative):
        raise TonearmError(
            "positive and negative hold the same prompts, so there is no direction between them; "
            "give sets that differ"
        )


def _capture(
    model: Model,
    positive: Sequence[str],
    negative: Sequence[str],
    spec: CaptureSpec,
    method: Method,
    progress: Progress | None,
) -> Activations:
    """Moments of both sets, and rows if the method needs them."""
    total = len(positive) + len(negative)
    moments = [RunningMoments(), RunningMoments()]
    rows, labels, groups = [], [], []
    for index, (prompts, before) in enumerate(((positive, 0), (negative, len(positive)))):

        def report(done: int, _: int, before: int = before) -> None:
            if progress:
                progress(before + done, total)

        for captured in capture_rows(model.engine, prompts, spec, report):
            moments[index].add(captured.rows)
            if method.needs == "rows":
                rows.append(captured.rows)
                labels += [1 - index] * len(captured.rows)
                groups.append(captured.examples + before)
    if not rows:
        return Activations(moments[0], moments[1])
    return Activations(
        moments[0],
        moments[1],
        torch.cat(rows),
        torch.tensor(labels),
        torch.cat(groups),
        heads=model.shape.heads_at(spec.site),
    )
