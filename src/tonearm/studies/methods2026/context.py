"""Inputs of the stages, and sizes from the divergence curves of earlier stages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tonearm.backend import Site
from tonearm.steering import SteeringVector
from tonearm.studies.equal_divergence import Curve, curves, equal_strength
from tonearm.studies.methods2026.attributes import Attribute
from tonearm.studies.methods2026.design import Design
from tonearm.studies.methods2026.operators import ADD
from tonearm.studies.methods2026.readings import Evaluators
from tonearm.studies.methods2026.variants import (
    Condition,
    Variant,
    random_name,
    variant_of,
    vector_name,
)
from tonearm.studies.plan import Found

SIGN = "+"  # of all curves: vectors lead towards the attribute


@dataclass(frozen=True)
class Cell:
    """A row of the ranking for one attribute."""

    attribute: Attribute
    condition: Condition


@dataclass(frozen=True, eq=False)
class Context:
    """Inputs of the stages.

    design      sizes
    attributes  that have examples and readings
    conditions  rows of the ranking
    vectors     by name
    layer_sets  layers by name of the set; None for all
    neutral     prompts that choose layer sets
    held_out    prompts of the reported numbers
    evaluators  that readings need
    has_notes   whether notes are measured
    """

    design: Design
    attributes: Sequence[Attribute]
    conditions: Sequence[Condition]
    vectors: Mapping[str, SteeringVector]
    layer_sets: Mapping[str, tuple[int, ...] | None]
    neutral: Sequence[str]
    held_out: Sequence[str]
    evaluators: Evaluators
    has_notes: bool

    def cells(self) -> list[Cell]:
        """Rows of each attribute whose vector was found."""
        return [
            Cell(attribute, condition)
            for attribute in self.attributes
            for condition in self.conditions
            if vector_name(attribute.name, condition.candidate.name) in self.vectors
        ]

    def variant(self, cell: Cell, layer_set: str) -> Variant:
        """A cell's vector in a set of layers."""
        name = vector_name(cell.attribute.name, cell.condition.candidate.name)
        layers = self.layer_sets[layer_set]
        return variant_of(self.vectors[name], cell.condition.operator, layer_set, layers)

    def variants(self) -> Iterator[Variant]:
        """Every cell in every set of layers that is tried."""
        for cell in self.cells():
            for layer_set in cell.condition.candidate.layer_sets:
                yield self.variant(cell, layer_set)

    def random_places(self) -> list[tuple[Site, str]]:
        """Sites and sets of layers in which random directions are injected."""
        tried = (
            (one.candidate.site, layer_set)
            for one in self.conditions
            for layer_set in one.candidate.layer_sets
            if random_name(one.candidate.site, 0) in self.vectors
        )
        return list(dict.fromkeys(tried))

    def random_variant(self, site: Site, layer_set: str, draw: int) -> Variant:
        """A random direction, added in a set of layers."""
        vector = self.vectors[random_name(site, draw)]
        return variant_of(vector, ADD, layer_set, self.layer_sets[layer_set])

    def size(self, variant: Variant, found: Found, divergence: float) -> float:
        """Size at which a variant has a divergence."""
        curve, operator = known_curves(found)[variant.name, SIGN], variant.operator
        return equal_strength(curve, divergence, least=operator.least, most=operator.most)


@lru_cache(maxsize=1)
def known_curves(found: Found) -> dict[tuple[str, str], Curve]:
    """Divergence curves, once per stage."""
    return curves(found.records)
