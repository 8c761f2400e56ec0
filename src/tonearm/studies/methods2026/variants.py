"""Methods of the study as data, and the ways in which their directions are injected.

A new method is one entry of CANDIDATES; sparse features need an autoencoder besides (`candidates`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tonearm.backend import Site
from tonearm.features.contrast import contrast_features
from tonearm.features.trained import TrainedAutoencoder
from tonearm.methods.base import NoDirection
from tonearm.model import Model
from tonearm.steering import Steer, SteeringVector
from tonearm.studies.methods2026.design import ALL, LAYER_SETS, OWN, RANDOM
from tonearm.studies.methods2026.examples import Examples, Learning
from tonearm.studies.methods2026.operators import ADD, SET, SLERP, Operator

SAE = "sae"
HEADS: Site = "heads"
Fit = Callable[[Model, Examples, str], SteeringVector]


@dataclass(frozen=True)
class Candidate:
    """A method of the study.

    name        in the records
    title       of its estimator, in tables
    fit         learns its vector of a name from examples. Raises NoDirection where there is none
    site        that it steers
    operators   that inject it
    identity    of data that the fit reads beside the examples, such as an autoencoder; or empty
    layer_sets  that are tried; a method that chooses heads acts in all layers, and a vector of one
                layer in its own
    """

    name: str
    title: str
    fit: Fit
    site: Site = "residual"
    operators: tuple[Operator, ...] = (ADD,)
    layer_sets: tuple[str, ...] = LAYER_SETS
    identity: str = ""


@dataclass(frozen=True)
class Condition:
    """A row of the ranking: a method with an operator."""

    candidate: Candidate
    operator: Operator

    @property
    def name(self) -> str:
        if self.operator is ADD:
            return self.candidate.name
        return f"{self.candidate.name}, {self.operator.name}"


def registered(learning: Learning) -> Fit:
    """Fit of a method of the registry."""

    def fit(model: Model, examples: Examples, name: str) -> SteeringVector:
        return examples.learn(model, name, learning)

    return fit


def contrasted(autoencoder: TrainedAutoencoder | None, count: int) -> Fit:
    """Fit by the features of an autoencoder that separate clips of the examples.

    Args:
        autoencoder: None where none was given, and nothing can be fitted.
        count: of examples of each side, at most.
    """

    def fit(model: Model, examples: Examples, name: str) -> SteeringVector:
        if autoencoder is None:
            raise NoDirection(
                "no autoencoder was given; tonearm sae train makes one, and --sae takes it"
            )
        positive, negative = examples.clips(model, count)
        return contrast_features(model, autoencoder, positive, negative, name).vector

    return fit


CANDIDATES = (
    Candidate(
        "diffmean",
        "difference of the means",
        registered(Learning("diffmean")),
        operators=(ADD, SLERP, SET),
    ),
    Candidate(
        "mean-centred",
        "mean of one side less that of neutral prompts",
        registered(Learning("mean-centred", background=True)),
    ),
    Candidate("pca", "leading component of the differences", registered(Learning("pca"))),
    Candidate("lda", "ridge with Ledoit & Wolf's shrinkage", registered(Learning("lda"))),
    Candidate("mse-probe", "ridge with λ = 0, which is LDA", registered(Learning("mse-probe"))),
    Candidate("bce-probe", "logistic regression", registered(Learning("bce-probe"))),
    Candidate("rfm", "leading axis of a recursive feature machine", registered(Learning("rfm"))),
    Candidate(
        "iti",
        "differences of the means of the heads whose probes are best",
        registered(Learning("iti", HEADS)),
        HEADS,
        layer_sets=(ALL,),
    ),
    Candidate(
        "smitin",
        "the same of all heads, weighted by the accuracy of their probes",
        registered(Learning("smitin", HEADS)),
        HEADS,
        layer_sets=(ALL,),
    ),
)


def candidates(autoencoder: TrainedAutoencoder | None, count: int) -> tuple[Candidate, ...]:
    """All methods, with the features of an autoencoder.

    Args:
        autoencoder: None where none was given; its row then says so.
        count: of examples of each side that are read for the features, at most.
    """
    features = Candidate(
        SAE,
        "columns of the features that separate clips, of a sparse autoencoder",
        contrasted(autoencoder, count),
        layer_sets=(OWN,),
        identity=autoencoder.content_hash() if autoencoder else "",
    )
    return (*CANDIDATES, features)


def conditions(candidates: Sequence[Candidate]) -> list[Condition]:
    """Rows of the ranking."""
    return [Condition(one, operator) for one in candidates for operator in one.operators]


@dataclass(frozen=True)
class Variant:
    """A vector, an operator and layers.

    name      in the records
    vector    name of the vector in the study
    operator  that injects it
    layers    that are steered, each with its own direction; None for all
    scale     strength at which what is added has the mean length of the activations
    """

    name: str
    vector: str
    operator: Operator
    layers: tuple[int, ...] | None
    scale: float

    def steer(self, size: float) -> Steer:
        return Steer(
            vector=self.vector,
            strategy="all-to-all",
            layers=self.layers,
            **self.operator.fields(size, self.scale),
        )


def vector_name(attribute: str, candidate: str) -> str:
    return f"{attribute}, {candidate}"


def random_name(site: Site, draw: int) -> str:
    return f"{RANDOM} {draw}, {site}"


def variant_of(
    vector: SteeringVector,
    operator: Operator,
    layer_set: str,
    layers: tuple[int, ...] | None,
) -> Variant:
    """A vector under an operator in a set of layers."""
    name = f"{vector.name}, {operator.name}, {layer_set}"
    return Variant(name, vector.name, operator, layers, scale_of(vector, layers))


def scale_of(vector: SteeringVector, layers: tuple[int, ...] | None) -> float:
    """Mean length of the activations over that of the directions, in the steered layers.

    Layers without a direction, such as those of which a method chose no head, do not count.
    """
    norms = vector.info.activation_norms
    lengths = {layer: float(vector[layer].norm()) for layer in layers or vector.layers}
    steered = [layer for layer, length in lengths.items() if length > 0]
    return sum(norms[layer] for layer in steered) / sum(lengths[layer] for layer in steered)


def normalised(vector: SteeringVector) -> SteeringVector:
    """The vector with the mean length of the activations over all layers, and its ratios between
    layers.
    """
    return (scale_of(vector, None) * vector).renamed(vector.name)


def random_direction(like: SteeringVector, draw: int, seed: int) -> SteeringVector:
    """One random direction in every layer, with the mean length of the activations there.

    Args:
        like: a vector of the site.
        draw: number of the direction.
        seed: of the direction.
    """
    noise = like.random_like(seed)
    site, norms = like.info.site, like.info.activation_norms
    directions = {
        layer: torch.nn.functional.normalize(direction, dim=0) * norms[layer]
        for layer, direction in noise.directions.items()
    }
    info = noise.info.model_copy(update={"name": random_name(site, draw)})
    return SteeringVector(directions, info)
