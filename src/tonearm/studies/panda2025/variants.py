"""Ways to inject a direction from audio, each with a name in the records."""

from dataclasses import dataclass

from tonearm.backend import Site
from tonearm.steering import Steer
from tonearm.studies.panda2025.design import PAPER_METHOD, GenrePair, Instrument

BEST = "best layer"
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
    """One way to steer, by (h + α r) / (1 + α).

    name        in the records
    vector      name of the vector in the study
    best_layer  the layer of the best probe alone; None: every layer with its own direction
    """

    name: str
    vector: str
    best_layer: int | None = None

    def steer(self, alpha: float) -> Steer:
        if self.best_layer is None:
            return Steer(
                vector=self.vector, strength=alpha, operator="blend", strategy="all-to-all"
            )
        return Steer(
            vector=self.vector,
            strength=alpha,
            operator="blend",
            strategy="one-to-one",
            source_layer=self.best_layer,
        )


def every_layer(vector: VectorName) -> Variant:
    """Every layer with its own direction."""
    return Variant(str(vector), str(vector))


def best_layer(vector: VectorName, layer: int) -> Variant:
    """The direction of the layer with the best probe, there alone."""
    return Variant(f"{vector}, {BEST}", str(vector), layer)


def random_variant(vector: VectorName, index: int) -> Variant:
    """A random direction, the same in every layer."""
    name = random_name(vector, index)
    return Variant(name, name)


def random_name(vector: VectorName, index: int) -> str:
    return f"random {index} like {vector}"


def pair_vector(
    pair: GenrePair, site: Site | None = None, method: str = PAPER_METHOD
) -> VectorName:
    """Direction from the source to the target; by default at the site of the paper's row."""
    return VectorName(pair.target, pair.source, pair.site if site is None else site, method)


def instrument_vector(instrument: Instrument) -> VectorName:
    """Direction from all other instruments, on the residual stream as in table III."""
    return VectorName(instrument.target, REST, "residual", PAPER_METHOD)
