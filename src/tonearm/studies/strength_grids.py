"""Strengths that a calibration tries, in units of the activations of a vector.

| operator                              | unit of the strengths                                       |
|---------------------------------------|-------------------------------------------------------------|
| add, rotate, blend scaled "activation" | activation norm: a share of it is added, both summed over   |
|                                       | all layers, so that configurations compare at equal force   |
| blend                                 | component of the activations along the direction            |

The component of an activation h along the unit direction r is h·r, and around it Panda et al.
search α. Its size at a layer is taken from the means of h·r over the two sets of the vector,

    c = sqrt((m+^2 + m-^2) / 2),

which are known for every method and weigh the same, whatever the counts of the sets. c is at least
half the distance of the two means, so it is 0 only where there is no direction. At α = c the
operator doubles the component along r, against all others, which it divides by 1 + α likewise. One
α serves all target layers: c is the mean over them, each with the c of the layer whose direction it
gets.

Source: Panda et al. 2025, IV-D and conclusion.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from statistics import fmean

from tonearm.backend import ModelShape
from tonearm.errors import TonearmError
from tonearm.steering import Configuration, SteeringVector
from tonearm.studies.injection import layers_of

OPERATORS = ("add", "blend", "rotate")  # whose strength has no end of its own
# added norm as a share of the activation norm, both summed over all layers
PUSHES = (0.008, 0.012, 0.018, 0.027, 0.04)
# α as a share of the component of the activations along the direction
FACTORS = (0.01, 0.025, 0.06, 0.15, 0.4, 1.0, 2.5)


@dataclass(frozen=True)
class StrengthGrid:
    """Strengths of a configuration, above 0 and rising, and how they were found, for a protocol."""

    strengths: tuple[float, ...]
    description: str


def strength_grid(
    vector: SteeringVector,
    configuration: Configuration,
    shape: ModelShape,
    pushes: Sequence[float] = PUSHES,
    factors: Sequence[float] = FACTORS,
) -> StrengthGrid:
    """Return the strengths to try.

    Args:
        vector: with the scales of its activations.
        configuration: of the injection.
        shape: of the checkpoint.
        pushes: shares of the activation norm, rising.
        factors: of the component along the direction, rising.

    Raises:
        TonearmError: an operator without a strength to search, or a vector without the scale.
    """
    if configuration.operator not in OPERATORS:
        raise TonearmError(
            f"operator {configuration.operator} cannot be calibrated; use one of "
            f"{', '.join(OPERATORS)}"
        )
    if configuration.operator == "blend" and configuration.scale == "unit":
        size = component(vector, configuration, shape)
        strengths = tuple(factor * size for factor in factors)
        unit = f"times {size:.3g}, the component of the activations along the direction"
        return StrengthGrid(
            strengths, f"blend {configuration.strategy}: α at {_span(factors)} {unit}"
        )
    size = unit_strength(vector, configuration, shape)
    strengths = tuple(push * size for push in pushes)
    how = f"{configuration.operator} {configuration.strategy}"
    return StrengthGrid(strengths, f"{how}: {_span(pushes)} of the activation norm are added")


def component(vector: SteeringVector, configuration: Configuration, shape: ModelShape) -> float:
    """Return the size of the activations' component along the direction, a mean over target layers.

    Raises:
        TonearmError: a vector without the projections of its activations, or without a direction.
    """
    above, below = vector.info.positive_projections, vector.info.negative_projections
    sources = layers_of(configuration, vector, shape).values()
    if not set(sources) <= above.keys() & below.keys():
        raise TonearmError(
            f"vector {vector.name} does not hold the projections of its activations, around which "
            "α of blend is searched; learn it again"
        )
    size = fmean(hypot(above[layer], below[layer]) / sqrt(2) for layer in sources)
    if not size:
        raise TonearmError(
            f"vector {vector.name} has no direction in the layers that are steered; "
            "use other layers, or learn it again"
        )
    return size


def unit_strength(vector: SteeringVector, configuration: Configuration, shape: ModelShape) -> float:
    """Return the strength that adds, summed over the target layers, the activation norms of all.

    Raises:
        TonearmError: a vector without activation norms.
    """
    norms = vector.info.activation_norms
    targets = layers_of(configuration, vector, shape)
    if not norms:
        raise TonearmError(
            f"vector {vector.name} has no activation norms, which set the scale of strengths; "
            "learn it again"
        )
    if configuration.operator in ("rotate", "blend"):
        added = [norms[layer] for layer in targets]
    else:
        added = [float(vector[source].norm()) for source in targets.values()]
    return sum(norms.values()) / sum(added)


def _span(values: Sequence[float]) -> str:
    return f"{min(values):g} to {max(values):g}"
