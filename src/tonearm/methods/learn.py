"""Learning of a steering vector from two contrasting prompt sets, or from one and a background."""

import logging
from collections import Counter
from collections.abc import Sequence

import torch

from tonearm import boundary
from tonearm.activations import CaptureSpec, RunningMoments, capture_rows
from tonearm.activations.capture import padded_lengths
from tonearm.datasets.prompts import neutral
from tonearm.errors import TonearmError
from tonearm.generation.check import check_seed
from tonearm.hashing import hash_texts
from tonearm.methods import method_named
from tonearm.methods.as_vector import as_vector
from tonearm.methods.base import Activations, Method, require_direction, site_of
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import Site, SteeringVector
from tonearm.text import quoted

BACKGROUND = "background"  # meaning of a negative strength without a negative set
MAX_KEPT_BYTES = 2**31  # of rows that a method does not need

_log = logging.getLogger(__name__)


def learn(
    model: Model,
    positive: Sequence[str],
    negative: Sequence[str] | None,
    name: str,
    *,
    method: str | None = None,
    site: Site | None = None,
    pooling: str | None = None,
    paired: bool = False,
    positive_label: str = "more",
    negative_label: str | None = None,
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
        negative: prompts without it, or with its opposite; None: the bundled neutral prompts, a
            background for concepts without an opposite (tonearm/methods/mean_centred.py).
        name: of the vector.
        method: a registered method (tonearm/methods), with its option: ridge:0.1; default:
            diffmean, or mean-centred without a negative set.
        site: where activations are read, and where the vector will act; default: residual, or that
            of a method which reads one site alone (heads of iti and smitin).
        pooling: see tonearm/activations/pooling.py; default: eos on prefix checkpoints, else mean.
        paired: positive[i] and negative[i] describe one scene and differ in the attribute alone, as
            in the bundled pairs; no split divides a pair, and method pca takes their differences.
        positive_label: meaning of a positive strength.
        negative_label: meaning of a negative strength; default: less, or background.
        batch_size: prompts per batch.
        seconds: of music per prompt, for poolings that need it.
        seed: of that music.
        progress: called with prompts done and prompts in all.

    Raises:
        TonearmError: an empty set or prompt, equal sets, pairs of unequal sets, an unknown method,
            site or pooling, or a prompt that is too long; before any capture. After it: too few
            prompts for the method, or no direction beyond chance.
    """
    boundary.instance(model, "model", Model, "a Model, as tonearm.load returns it")
    for argument, value in dict(
        name=name,
        positive_label=positive_label,
    ).items():
        boundary.text(value, argument)
    for argument, given in dict(
        method=method, site=site, pooling=pooling, negative_label=negative_label
    ).items():
        boundary.optional(boundary.text, given, argument)
    paired = boundary.flag(paired, "paired")
    batch_size = boundary.integer(batch_size, "batch_size")
    seconds, seed = boundary.number(seconds, "seconds"), check_seed(seed)
    progress = boundary.optional(boundary.function, progress, "progress")
    is_one_sided = negative is None
    if method is None:
        method = "mean-centred" if is_one_sided else "diffmean"
    chosen = method_named(method)
    site = site_of(chosen, site)
    if negative_label is None:
        negative_label = BACKGROUND if is_one_sided else "less"
    if paired and is_one_sided:
        raise TonearmError("paired needs a negative set; give one, or omit paired")
    positive = _prompts(positive, "positive")
    negative = list(neutral()) if is_one_sided else _prompts(negative, "negative")
    _check_prompts(positive, negative, name)
    padded_lengths(model.checkpoint, [*positive, *negative])
    shape = model.shape
    spec = CaptureSpec(site, pooling, batch_size, seconds, seed).resolved(shape)
    if paired:
        _check_pairs(positive, negative, spec)
    activations = _capture(model, positive, negative, paired, spec, chosen, progress)
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


def _check_pairs(positive: Sequence[str], negative: Sequence[str], spec: CaptureSpec) -> None:
    if len(positive) != len(negative):
        raise TonearmError(
            f"paired needs sets of one size, and there are {len(positive)} positive and "
            f"{len(negative)} negative prompts; give one of each for every scene, or omit paired"
        )
    (pair, count), *_ = Counter(zip(positive, negative, strict=True)).most_common(1)
    if count > 1:
        raise TonearmError(
            f"the pair {quoted(pair[0])} and {quoted(pair[1])} is given twice; give it once"
        )
    if spec.pooling == "frames":
        raise TonearmError(
            "paired needs one row for each prompt, and pooling frames gives several; use mean"
        )


def _groups(positive: Sequence[str], negative: Sequence[str], paired: bool) -> torch.Tensor:
    """The group of each prompt, int64 [P + N], its pair or its text: takes of one text resemble each
    other, so that none may be held out while another is learned from.
    """
    if paired:
        return torch.arange(len(positive)).repeat(2)
    numbers: dict[str, int] = {}
    texts = (*positive, *negative)
    return torch.tensor([numbers.setdefault(text, len(numbers)) for text in texts])


def _capture(
    model: Model,
    positive: Sequence[str],
    negative: Sequence[str],
    paired: bool,
    spec: CaptureSpec,
    method: Method,
    progress: Progress | None,
) -> Activations:
    """Moments and rows of both sets; no rows where a method needs none and they are too large."""
    total, kept = len(positive) + len(negative), 0
    group_of = _groups(positive, negative, paired)
    moments = [RunningMoments(), RunningMoments()]
    rows, labels, groups = [], [], []
    for index, (prompts, before) in enumerate(((positive, 0), (negative, len(positive)))):

        def report(done: int, _: int, before: int = before) -> None:
            if progress:
                progress(before + done, total)

        for captured in capture_rows(model.engine, prompts, spec, report):
            moments[index].add(captured.rows)
            kept += captured.rows.nbytes
            if method.needs == "rows" or kept <= MAX_KEPT_BYTES:
                rows.append(captured.rows)
                labels += [1 - index] * len(captured.rows)
                groups.append(group_of[captured.examples + before])
    if method.needs == "moments" and kept > MAX_KEPT_BYTES:
        _log.warning(
            "the vector has no scores of consistency, since its rows take %.1f GB and %.1f are "
            "kept at most",
            kept / 1e9,
            MAX_KEPT_BYTES / 1e9,
        )
        return Activations(moments[0], moments[1])
    return Activations(
        moments[0],
        moments[1],
        torch.cat(rows),
        torch.tensor(labels),
        torch.cat(groups),
        hold_out=method.needs == "rows",
        heads=model.shape.heads_at(spec.site),
    )
