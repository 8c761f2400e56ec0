"""Zero-shot classification: the probability of each given label by CLAP.

    cosine(label) = clip . text(template with label)
    probability = softmax over the labels of scale * cosine

where clip and text are CLAP's unit embeddings and the scale is the checkpoint's own.

Source: Panda et al. 2025, IV-E, who use `laion/clap-htsat-unfused`, the labels {source, target},
and the default template of transformers' zero-shot audio classification pipeline, as here.

Conventions: probabilities depend on the set of labels, cosines do not, so both are kept with the
labels and the template. All are None for silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import (
    AudioTextEmbedder,
    as_clips,
    as_text_embedder,
    describe_embedder,
    embed_sounding,
)

TEMPLATE = "This is a sound of {}."


@dataclass(frozen=True)
class ZeroShot:
    """Scores of one clip by label, in the order given; both None for silence."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float] | None
    cosines: Mapping[str, float] | None
    template: str
    evaluator: str

    @property
    def best(self) -> str | None:
        """The most probable label."""
        if self.probabilities is None:
            return None
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def protocol(self) -> str:
        return (
            f"zero-shot by {self.evaluator}, template {self.template!r}, "
            f"labels {', '.join(self.labels)}"
        )

    def to_dict(self) -> dict[str, object]:
        return {
            "name": "zero_shot",
            "value": self.best,
            "unit": "",
            "protocol": self.protocol,
            "probabilities": self.probabilities and dict(self.probabilities),
            "cosines": self.cosines and dict(self.cosines),
        }


def measure_zero_shot(
    clip: Clip, clap: AudioTextEmbedder, labels: Sequence[str], template: str = TEMPLATE
) -> ZeroShot:
    """Score one clip; arguments and errors as `measure_zero_shots`."""
    return measure_zero_shots([clip], clap, labels, template)[0]


def measure_zero_shots(
    clips: Sequence[Clip],
    clap: AudioTextEmbedder,
    labels: Sequence[str],
    template: str = TEMPLATE,
) -> list[ZeroShot]:
    """Score each clip.

    Args:
        clips: the clips.
        clap: evaluator that embeds clips and texts.
        labels: two or more different ones.
        template: text with one {} for the label.

    Returns:
        Scores of each clip.

    Raises:
        TonearmError: fewer than two labels, a repeated label, one without a word in the
            evaluator's vocabulary, or a template without {}.
    """
    clips, clap = as_clips(clips, "clips"), as_text_embedder(clap, "clap")
    given = boundary.sequence(labels, "labels", boundary.text, "a list of labels")
    labels = tuple(label.strip() for label in given)
    check_labels(labels, template, clap)
    texts = clap.embed_texts([template.replace("{}", label) for label in labels])  # [L, D]
    evaluator = describe_embedder(clap)

    def score(row: np.ndarray | None) -> ZeroShot:
        if row is None:
            return ZeroShot(labels, None, None, template, evaluator)
        cosines = texts.astype(np.float64) @ row
        weights = np.exp(clap.logit_scale * (cosines - cosines.max()))
        probabilities = _by(labels, weights / weights.sum())
        return ZeroShot(labels, probabilities, _by(labels, cosines), template, evaluator)

    return [score(row) for row in embed_sounding(clips, clap)]


def check_labels(labels: Sequence[str], template: str, clap: AudioTextEmbedder) -> None:
    """Raise TonearmError for labels or a template that `measure_zero_shots` would refuse."""
    if len(labels) < 2:
        raise TonearmError(
            f"zero-shot scores compare labels, and {len(labels)} was given; "
            "give two or more, such as jazz,rock"
        )
    if len(set(labels)) < len(labels):
        raise TonearmError(f"a label is repeated in {', '.join(labels)}; give each once")
    if boundary.text(template, "template").count("{}") != 1:
        raise TonearmError(
            f"the template {template!r} has no place for the label; "
            f"put {{}} there once, as in {TEMPLATE!r}"
        )
    for label in labels:
        clap.check_words(label)


def _by(labels: Sequence[str], numbers: np.ndarray) -> dict[str, float]:
    return {label: float(number) for label, number in zip(labels, numbers, strict=True)}
