"""Recipe `pocket`: pieces as pocket was trained on, of 10.24 s, without an end.

The seeds of the pieces begin at 2^32, above those of training and evaluation, so that no model has
been trained on them.
"""

from collections.abc import Iterator

import numpy as np

from tonearm.datasets.rendering.compose import compose
from tonearm.datasets.rendering.recipe import PlannedClip, Recipe
from tonearm.datasets.rendering.synthesizer import SAMPLE_RATE, Renderer

SEEDS = 2**32  # of pieces, for one seed of the recipe


def _plan(count: int, seed: int) -> Iterator[PlannedClip]:
    first = (seed + 1) * SEEDS
    return (_piece(first + number) for number in range(count))


def _piece(seed: int) -> PlannedClip:
    piece = compose(seed)

    def render(renderer: Renderer) -> np.ndarray:
        return renderer.render(piece)

    return PlannedClip(f"piece-{seed}", str(seed), piece.labels(), render)


RECIPE = Recipe(
    name="pocket",
    summary="pieces: genre, lead, tempo, BPM, mode, tonic, brightness, density, dynamics",
    sample_rate=SAMPLE_RATE,
    sizes=None,
    plan=_plan,
)
