"""Inputs of the stages, and sizes from the divergence curves of earlier stages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tonearm.backend import Site
from tonearm.steering import SteeringVector
from tonearm.studies.equal_divergence import Curve, curves, equal_strength
from tonearm.studies.methods2026.attributes import Attribute
from tonearm.studies.methods2026.design import OWN, Design
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
        vector = self.vectors[vector_name(cell.attribute.name, cell.condition.candidate.name)]
        layers = self.layers(vector, layer_set)
        return variant_of(vector, cell.condition.operator, layer_set, layers)

    def layers(self, vector: SteeringVector, layer_set: str) -> tuple[int, ...] | None:
        """Layers of a set for a vector; None for all."""
        return vector.layers if layer_set == OWN else self.layer_sets[layer_set]

    def variants(self) -> Iterator[Variant]:
        """Every cell in every set of layers that is tried."""
        for cell in self.cells():
            for layer_set in cell.condition.candidate.layer_sets:
                yield self.variant(cell, layer_set)

    def randoms(self) -> Iterator[tuple[Variant, dict[str, Any]]]:
        """Random directions, added wherever a cell is tried, with the facts of their records."""
        places: dict[tuple[Site, str], tuple[int, ...] | None] = {}
        for cell in self.cells():
            candidate = cell.condition.candidate
            vector = self.vectors[vector_name(cell.attribute.name, candidate.name)]
            for layer_set in candidate.layer_sets:
                places[candidate.site, layer_set] = self.layers(vector, layer_set)
        for (site, layer_set), layers in places.items():
            for draw in range(self.design.random):
                vector = self.vectors[random_name(site, draw)]
                facts = {"site": site, "layers": layer_set, "draw": draw}
                yield variant_of(vector, ADD, layer_set, layers), facts

    def size(self, variant: Variant, found: Found, divergence: float) -> float:
        """Size at which a variant has a divergence."""
        curve, operator = known_curves(found)[variant.name, SIGN], variant.operator
        return equal_strength(curve, divergence, least=operator.least, most=operator.most)


@lru_cache(maxsize=1)
def known_curves(found: Found) -> dict[tuple[str, str], Curve]:
    """Divergence curves, once per stage."""
    return curves(found.records)
