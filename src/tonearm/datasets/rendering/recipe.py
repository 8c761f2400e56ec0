"""The seam of rendering recipes: clips that are planned before any is rendered."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

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
        sizes: of the grid of factors that is its clips; None for a recipe without an end.
        plan: yields a number of clips for a seed. The same arguments give the same clips; all clips
            of a grid are in its order, the last factor the fastest.
    """

    name: str
    summary: str
    sample_rate: int
    sizes: tuple[int, ...] | None
    plan: Callable[[int, int], Iterator[PlannedClip]]

    @property
    def size(self) -> int | None:
        """Number of all clips; None for a recipe without an end."""
        return None if self.sizes is None else prod(self.sizes)
