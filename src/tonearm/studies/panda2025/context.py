"""Inputs of the stages: sizes, pairs, clips, and α from the divergence curves of earlier stages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tonearm.audio import Clip
from tonearm.studies.equal_divergence import Curve, curves, equal_strength
from tonearm.studies.label_scores import LabelTexts
from tonearm.studies.panda2025.design import RIDGE_PAIRS, STYLE_PAIRS, Design, GenrePair
from tonearm.studies.panda2025.variants import Variant
from tonearm.studies.plan import Found


@dataclass(frozen=True)
class GivenClip:
    """A clip that is continued, or rendered anew: its name, labels and audio."""

    name: str
    genre: str
    lead: str
    clip: Clip


@dataclass(frozen=True, eq=False)
class Context:
    """What the stages know beforehand.

    design       sizes
    pairs        rows of tables I and II
    best_layers  layer of the best probe by name of the vector
    texts        of the genres, by which strengths are chosen
    given        clips of the transfer of instruments and styles
    modes        in which they are given: continued, and melody where the checkpoint follows one
    harmony      groups of measures that compare a take with the given clip
    """

    design: Design
    pairs: Sequence[GenrePair]
    best_layers: Mapping[str, int]
    texts: LabelTexts
    given: Sequence[GivenClip]
    modes: Sequence[str]
    harmony: tuple[str, ...]

    def sources(self) -> tuple[str, ...]:
        """Source genres of the tables."""
        return tuple(dict.fromkeys(pair.source for pair in self.pairs))

    def ridge_pairs(self) -> list[GenrePair]:
        """Pairs on which the ridge family is compared."""
        return [pair for pair in self.pairs if pair.name in RIDGE_PAIRS]

    def style_pairs(self) -> list[GenrePair]:
        """Pairs of the style transfer."""
        return [pair for pair in self.pairs if pair.name in STYLE_PAIRS]

    def stacked_pairs(self) -> list[GenrePair]:
        """Two pairs with one source, to whose targets takes are steered at once."""
        for source in self.sources():
            found = [pair for pair in self.pairs if pair.source == source]
            if len(found) > 1:
                return found[:2]
        return []

    def alpha(self, variant: Variant, found: Found, divergence: float | None = None) -> float:
        """α of a divergence; by default the design's."""
        curve = known_curves(found)[variant.name, "+"]
        return equal_strength(curve, divergence or self.design.divergence)


@lru_cache(maxsize=1)
def known_curves(found: Found) -> dict[tuple[str, str], Curve]:
    """Divergence curves, once per stage."""
    return curves(found.records)
