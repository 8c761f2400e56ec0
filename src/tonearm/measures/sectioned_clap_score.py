"""CLAP score of a clip with several texts, one after the other, such as a take whose prompt changed:
the mean of the sections' scores, each with its own text, weighted by length.

Conventions: those of `clap_score`. Sections below LEAST_SECONDS and silent ones are left out, since
an embedding of so little audio has no meaning. None where no section is left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tonearm.audio import Clip
from tonearm.datasets.captions import SectionText
from tonearm.evaluators.base import AudioTextEmbedder, describe_embedder
from tonearm.measures.base import Measurement
from tonearm.measures.clap_score import CLAP_SCORE, measure_clap_scores

LEAST_SECONDS = 2.0


@dataclass(frozen=True)
class SectionScore:
    """Score of one section; seconds from the start of the clip. None where it was left out."""

    start: float
    end: float
    text: str
    value: float | None


@dataclass(frozen=True)
class SectionedScore:
    """Mean score, and that of each section."""

    mean: Measurement
    sections: tuple[SectionScore, ...]


def joined(sections: Sequence[SectionText]) -> str:
    """All texts in one line."""
    return " | ".join(one.text for one in sections)


def measure_sectioned_clap_score(
    clip: Clip, clap: AudioTextEmbedder, sections: Sequence[SectionText]
) -> SectionedScore:
    """Score each section of a clip with its own text.

    Args:
        clip: the clip.
        clap: evaluator that embeds clips and texts.
        sections: in order of time; the first begins with the clip.

    Raises:
        TonearmError: a text has no word in the evaluator's vocabulary.
    """
    count, rate = clip.samples.shape[1], clip.sample_rate
    bounds = [*(round(one.start * count) for one in sections), count]
    parts = [Clip(clip.samples[:, first:last], rate) for first, last in pairwise(bounds)]
    long = [index for index, part in enumerate(parts) if part.seconds >= LEAST_SECONDS]
    found = measure_clap_scores(
        [parts[index] for index in long], clap, [sections[index].text for index in long]
    )
    values = {index: one.number for index, one in zip(long, found, strict=True)}
    scores = tuple(
        SectionScore(first / rate, last / rate, one.text, values.get(index))
        for index, (one, (first, last)) in enumerate(zip(sections, pairwise(bounds), strict=True))
    )
    scored = [(one.value, one.end - one.start) for one in scores if one.value is not None]
    protocol = (
        f"{describe_embedder(clap)}, mean by length over the sections of {LEAST_SECONDS:g} s or "
        f"more, each with its own text, text {joined(sections)!r}"
    )
    value = None
    if scored:
        numbers, seconds = zip(*scored, strict=True)
        value = float(np.average(numbers, weights=seconds))
    return SectionedScore(Measurement(CLAP_SCORE, value, "cosine", protocol), scores)
