"""The recipes by name."""

from tonearm.datasets.rendering import chords, notes, pieces, progressions, tempos
from tonearm.datasets.rendering.recipe import Recipe
from tonearm.errors import TonearmError
from tonearm.text import quoted

RECIPES = {
    module.RECIPE.name: module.RECIPE for module in (notes, chords, progressions, tempos, pieces)
}


def find_recipe(name: str) -> Recipe:
    """Return the recipe of a name. Raises TonearmError for another name."""
    if name not in RECIPES:
        raise TonearmError(f"no recipe {quoted(name)}; use one of {', '.join(RECIPES)}")
    return RECIPES[name]
