"""Two contrasting prompt sets -> a steering vector."""

from collections.abc import Callable, Sequence

from tonearm import __version__
from tonearm.activations import CaptureSpec, Pooling, capture_moments, hash_of
from tonearm.errors import TonearmError
from tonearm.methods.diffmean import diffmean, separation
from tonearm.model import Model
from tonearm.musicgen.checkpoint import folder_of
from tonearm.musicgen.conditioning import text_room
from tonearm.steering import Site, SteeringVector, VectorInfo

METHODS = ("diffmean",)
OnPrompt = Callable[[int, int], None]  # prompts done, prompts in all


def learn(
    model: Model,
    positive: Sequence[str],
    negative: Sequence[str],
    name: str,
    *,
    method: str = "diffmean",
    site: Site = "residual",
    pooling: Pooling | None = None,
    positive_label: str = "more",
    negative_label: str = "less",
    batch_size: int = 16,
    seconds: float = 2.0,
    seed: int = 0,
    on_prompt: OnPrompt | None = None,
) -> SteeringVector:
    """Learn the direction from `negative` to `positive` prompts, at every layer, and put it on the model's shelf as `name`.

    pooling: which positions make an activation (see `tonearm.activations.capture`); left out, EOS on prefix checkpoints and the mean over
    generated frames on the others. Raises TonearmError for an empty or equal set, an unknown method, site or pooling.
    """
    if method not in METHODS:
        raise TonearmError(f"method {method!r} is not known; use one of {', '.join(METHODS)}")
    if not name.strip():
        raise TonearmError("the vector's name is empty; give one, such as tempo")
    for side, prompts in (("positive", positive), ("negative", negative)):
        if isinstance(prompts, str) or not prompts:
            raise TonearmError(f"{side} holds no list of prompts; give at least one prompt on each side")
    if not all(prompt.strip() for prompt in (*positive, *negative)):
        raise TonearmError("a prompt is empty; describe music in each")
    for prompt in (*positive, *negative):
        text_room(model.checkpoint, prompt)  # finds what does not fit before any work is done
    if set(positive) == set(negative):
        raise TonearmError(
            "positive and negative hold the same prompts, so there is no direction between them; give sets that differ"
        )
    checkpoint = model.checkpoint
    what = CaptureSpec(site, pooling, batch_size, seconds, seed).resolved(checkpoint)
    total = len(positive) + len(negative)

    def counted(before: int) -> OnPrompt | None:
        return (lambda done, _: on_prompt(before + done, total)) if on_prompt else None

    above = capture_moments(model.engine, positive, what, counted(0))
    below = capture_moments(model.engine, negative, what, counted(len(positive)))
    directions = diffmean(above, below)
    scores = separation(above, below)
    norms = (above.mean_norm * above.count + below.mean_norm * below.count) / total
    vector = SteeringVector(
        dict(enumerate(directions)),
        VectorInfo(
            name=name, checkpoint=folder_of(checkpoint.name), fingerprint=checkpoint.fingerprint, width=checkpoint.width,
            layer_count=checkpoint.layer_count, site=site, method=method, pooling=what.pooling or "",
            positive_label=positive_label, negative_label=negative_label,
            positive_count=len(positive), negative_count=len(negative), data_hash=hash_of(positive, negative), seed=seed,
            best_layer=int((scores if scores.any() else directions.norm(dim=-1)).argmax()),
            activation_norms={i: round(float(n), 6) for i, n in enumerate(norms)},
            scores={"separation": {i: round(float(s), 6) for i, s in enumerate(scores)}},
            library_version=__version__,
        ),
    )  # fmt: skip
    model.vectors[name] = vector
    return vector
