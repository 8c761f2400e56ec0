"""Ways to inject a direction from audio, each with a name in the records.

blend     (h + α |h| r) / (1 + α): the sum is scaled "such that the norm is maintained", as the
          paper says
literal   (h + α r) / (1 + α): the paper's formula. Where |h| is far above 1 it shrinks h by 1 + α
          in every layer and hardly adds r
rotate    h + α |h| r, scaled to the norm of h exactly; ours
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tonearm.backend import Site
from tonearm.steering import Steer
from tonearm.studies.panda2025.design import PAPER_METHOD, PROMPTS, GenrePair, Instrument

BEST = "best layer"
Form = Literal["blend", "literal", "rotate"]
FIELDS: Mapping[Form, Mapping[str, Any]] = {
    "blend": {"operator": "blend", "scale": "activation"},
    "literal": {"operator": "blend", "scale": "unit"},
    "rotate": {"operator": "rotate"},
}
REST = "the rest"


@dataclass(frozen=True)
class VectorName:
    """Identity of a direction: the labels that it leads to and from, its site and method."""

    target: str
    source: str
    site: Site
    method: str

    def __str__(self) -> str:
        return f"{self.target} against {self.source}, {self.site}, {self.method}"


@dataclass(frozen=True)
class Variant:
    """One way to steer.

    name        in the records
    vector      name of the vector in the study
    form        of the injection
    best_layer  the layer of the best probe alone; None: every layer with its own direction
    """

    name: str
    vector: str
    form: Form = "blend"
    best_layer: int | None = None

    def steer(self, alpha: float) -> Steer:
        place: dict[str, Any] = (
            {"strategy": "all-to-all"}
            if self.best_layer is None
            else {"strategy": "one-to-one", "source_layer": self.best_layer}
        )
        return Steer(vector=self.vector, strength=alpha, **place, **FIELDS[self.form])


def every_layer(vector: VectorName, form: Form = "blend") -> Variant:
    """Every layer with its own direction."""
    return Variant(_name(str(vector), form), str(vector), form)


def best_layer(vector: VectorName, layer: int, form: Form = "blend") -> Variant:
    """The direction of the layer with the best probe, there alone."""
    return Variant(_name(f"{vector}, {BEST}", form), str(vector), form, layer)


def _name(name: str, form: Form) -> str:
    return name if form == "blend" else f"{name}, {form}"


def random_variant(vector: VectorName, index: int) -> Variant:
    """A random direction, the same in every layer."""
    name = random_name(vector, index)
    return Variant(name, name)


def is_random(variant: str) -> bool:
    """Whether a variant of that name has a random direction."""
    return variant.startswith("random ")


def random_name(vector: VectorName, index: int) -> str:
    return f"random {index} like {vector}"


def pair_vector(
    pair: GenrePair, site: Site | None = None, method: str = PAPER_METHOD
) -> VectorName:
    """Direction from the source to the target; by default at the site of the paper's row."""
    return VectorName(pair.target, pair.source, pair.site if site is None else site, method)


def prompt_vector(pair: GenrePair) -> VectorName:
    """Direction of prompts, which is of the residual stream at the end of the text."""
    return pair_vector(pair, "residual", PROMPTS)


def instrument_vector(instrument: Instrument, method: str = PAPER_METHOD) -> VectorName:
    """Direction from all other instruments, on the residual stream as in table III."""
    return VectorName(instrument.target, REST, "residual", method)
