"""Zero-shot scores: which of the given labels a judge hears in a clip, and how surely.

    cosine(label) = clip . text(template with label),     probability = softmax over the labels of scale * cosine

where clip and text are CLAP's unit embeddings and the scale is the checkpoint's own.

Source: Panda et al. 2025, IV-E, who use `laion/clap-htsat-unfused`, the labels {source, target}, and the default
template of transformers' zero-shot audio classification pipeline, as is done here.

Conventions: probabilities depend on which labels stand beside each other, cosines do not, so both are kept with the
labels and the template. All are None for silence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import AudioTextEmbedder, described, embed_sounding

TEMPLATE = "This is a sound of {}."


@dataclass(frozen=True)
class ZeroShot:
    """Scores by label, in the order given; both None where there is nothing to hear."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float] | None
    cosines: Mapping[str, float] | None
    template: str
    judge: str

    @property
    def best(self) -> str | None:
        """The likeliest label."""
        return None if self.probabilities is None else max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def protocol(self) -> str:
        return f"zero-shot by {self.judge}, template {self.template!r}, labels {', '.join(self.labels)}"

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
    clip: Clip, judge: AudioTextEmbedder, labels: Sequence[str], template: str = TEMPLATE
) -> ZeroShot:
    """Scores of one clip; raises as `measure_zero_shots`."""
    return measure_zero_shots([clip], judge, labels, template)[0]


def measure_zero_shots(
    clips: Sequence[Clip], judge: AudioTextEmbedder, labels: Sequence[str], template: str = TEMPLATE
) -> list[ZeroShot]:
    """Scores of each clip.

    Raises TonearmError for fewer than two labels, labels given twice or unknown to the judge, and a template without
    {}.
    """
    labels = tuple(label.strip() for label in labels)
    _check(labels, template, judge)
    texts = judge.embed_texts([template.format(label) for label in labels])  # [L, D]
    told = described(judge)

    def scored(row: np.ndarray | None) -> ZeroShot:
        if row is None:
            return ZeroShot(labels, None, None, template, told)
        cosines = texts.astype(np.float64) @ row
        weights = np.exp(judge.logit_scale * (cosines - cosines.max()))
        return ZeroShot(labels, _by(labels, weights / weights.sum()), _by(labels, cosines), template, told)

    return [scored(row) for row in embed_sounding(clips, judge)]


def _by(labels: Sequence[str], numbers: np.ndarray) -> dict[str, float]:
    return {label: float(number) for label, number in zip(labels, numbers, strict=True)}


def _check(labels: Sequence[str], template: str, judge: AudioTextEmbedder) -> None:
    if len(labels) < 2:
        raise TonearmError(
            f"zero-shot scores compare labels, and {len(labels)} was given; give two or more, such as jazz,rock"
        )
    if len(set(labels)) < len(labels):
        raise TonearmError(f"a label stands twice in {', '.join(labels)}; give each once")
    if template.count("{}") != 1:
        raise TonearmError(
            f"the template {template!r} has no place for the label; put {{}} there once, as in {TEMPLATE!r}"
        )
    for label in labels:
        judge.check_words(label)
