"""Prompt activations of a pair: figures 2 and 6 of the paper, and how stable the directions are."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from tonearm.analysis.projection import Plane, project
from tonearm.analysis.similarity import Blocks, cosine_matrix, find_blocks, split_half_cosines

SPLIT_DRAWS, SPLIT_SEED = 50, 9


@dataclass(frozen=True)
class Geometry:
    """Prompt activations of a pair.

    separations  d' of the two prompt sets along their direction, by layer
    cosines      between the layers' directions
    blocks       of the layers
    halves       mean split-half cosine of the direction, by layer
    planes       of the layers
    """

    separations: tuple[float, ...]
    cosines: np.ndarray
    blocks: Blocks
    halves: tuple[float, ...]
    planes: tuple[Plane, ...]


def geometry_of(rows: np.ndarray) -> Geometry:
    """Describe the activations of a pair.

    Args:
        rows: float32 [2, n, L, D], positive and negative prompts.
    """
    positive, negative = (side.swapaxes(0, 1) for side in rows)  # [L, n, D]
    directions = positive.mean(1) - negative.mean(1)
    cosines = cosine_matrix(directions)
    layers: Iterable[tuple[np.ndarray, np.ndarray]] = list(zip(positive, negative, strict=True))
    planes = tuple(project(*sides) for sides in layers)
    return Geometry(
        separations=tuple(plane.separation for plane in planes),
        cosines=cosines,
        blocks=find_blocks(cosines),
        halves=tuple(
            float(split_half_cosines(*sides, SPLIT_DRAWS, SPLIT_SEED).mean()) for sides in layers
        ),
        planes=planes,
    )
