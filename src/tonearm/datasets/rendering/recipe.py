"""The seam of rendering recipes: clips that are planned before any is rendered."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tonearm.datasets.rendering.synthesizer import Renderer


@dataclass(frozen=True)
class PlannedClip:
    """A clip of a corpus to be rendered.

    Attributes:
        stem: of its file, unique in the corpus.
        track: excerpts of one render have one track.
        columns: its labels.
        render: makes mono float32 samples.
    """

    stem: str
    track: str
    columns: Mapping[str, str | int | float]
    render: Callable[[Renderer], np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """A recipe of a corpus.

    Attributes:
        name: as the command takes it.
        summary: one line.
        sample_rate: of the clips, in Hz.
        size: number of all clips; None for a recipe without an end.
        plan: yields a number of clips for a seed. The same arguments give the same clips.
    """

    name: str
    summary: str
    sample_rate: int
    size: int | None
    plan: Callable[[int, int], Iterator[PlannedClip]]
