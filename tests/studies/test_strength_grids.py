"""Strengths of a calibration in units of a vector's activations."""

import pytest
import torch

from tests.methods.planted import CONCEPT, planted
from tests.steering.vectors import vector_of
from tonearm import TonearmError
from tonearm.methods import method_named
from tonearm.methods.base import Activations
from tonearm.steering import Configuration
from tonearm.steering.operators import apply
from tonearm.studies.strength_grids import component, strength_grid, unit_strength

BLEND = Configuration(operator="blend", strategy="one-to-one", source_layer=1)


def projected(melody, positive, negative, **info):
    """Vector with these mean projections by layer."""
    return vector_of(
        melody,
        positive_projections=dict(enumerate(positive)),
        negative_projections=dict(enumerate(negative)),
        **info,
    )


@pytest.fixture
def vector(melody):
    """Components of 5, 10, 15, ... along the directions, of means on either side of 0."""
    layers = range(1, melody.shape.layer_count + 1)
    return projected(melody, [7.0 * i for i in layers], [-1.0 * i for i in layers])


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (BLEND, 10.0),
        (BLEND.model_copy(update={"source_layer": 0}), 5.0),
        (Configuration(operator="blend", strategy="all-to-all", layers=(0, 2)), 10.0),
        (Configuration(operator="blend", source_layer=2), 15.0),
    ],
)
def test_alpha_is_searched_around_the_component_of_the_layers_whose_directions_act(
    melody, vector, configuration, expected
):
    assert component(vector, configuration, melody.shape) == pytest.approx(expected)
    grid = strength_grid(vector, configuration, melody.shape, factors=(0.1, 0.5, 2.0))
    assert grid.strengths == pytest.approx((0.1 * expected, 0.5 * expected, 2 * expected))
    assert f"0.1 to 2 times {expected:.3g}" in grid.description


@pytest.mark.parametrize("method", ["diffmean", "lda", "bce-probe:1"])
@pytest.mark.parametrize("mean", [0.0, 40.0])
def test_the_component_of_planted_activations_is_found_by_every_method(melody, method, mean):
    """Class means at mean ± 1.5 along the concept, in rows of which the method keeps its moments."""
    found = planted(gap=3.0)
    rows = found.rows + mean * torch.tensor(found.concept, dtype=torch.float32)
    activations = Activations.from_rows(rows, found.labels, found.groups)
    fit = method_named(method).fit(activations)
    above, below = (side.tolist() for side in activations.mean_projections(fit.directions))
    middle = (above[CONCEPT] + below[CONCEPT]) / 2
    assert above[CONCEPT] - below[CONCEPT] == pytest.approx(3.0, abs=0.3)
    assert abs(middle) == pytest.approx(mean, rel=0.1, abs=0.2)
    vector = projected(melody, above, below)
    expected = (mean**2 + 1.5**2) ** 0.5
    assert component(vector, BLEND, melody.shape) == pytest.approx(expected, rel=0.1)


def test_at_the_component_blend_doubles_it_against_all_others():
    direction, other = torch.tensor([1.0, 0.0]), 3.0
    h = torch.tensor([[2.0, other], [2.0, -other]])
    blended = apply("blend", h, direction, torch.tensor(2.0))
    gain = (blended[:, 0] / blended[:, 1].abs()) / (h[:, 0] / h[:, 1].abs())
    assert torch.allclose(gain, torch.tensor(2.0))


def test_the_directions_own_zeros_have_projections_of_zero():
    activations = planted().activations
    above, below = activations.mean_projections(torch.zeros(3, 24))
    assert not above.any() and not below.any()


def test_a_vector_without_projections_is_refused_for_blend_alone(melody):
    """A file of an earlier format: no grid of another kind takes its place."""
    norms = dict.fromkeys(range(melody.shape.layer_count), 2.0)
    old = vector_of(melody, "jazz", activation_norms=norms)
    with pytest.raises(TonearmError, match=r"jazz does not hold the projections.*learn it again"):
        strength_grid(old, BLEND, melody.shape)
    assert len(strength_grid(old, Configuration(operator="rotate"), melody.shape).strengths) == 5


def test_a_layer_without_a_direction_has_no_component(melody, vector):
    flat = projected(melody, [0.0] * 3, [0.0] * 3)
    with pytest.raises(TonearmError, match="no direction in the layers that are steered"):
        strength_grid(flat, BLEND, melody.shape)


def test_blend_scaled_by_the_activation_is_a_share_of_its_norm(melody):
    norms = dict.fromkeys(range(melody.shape.layer_count), 2.0)
    vector = vector_of(melody, activation_norms=norms)
    scaled = Configuration(operator="blend", scale="activation", strategy="all-to-all")
    assert unit_strength(vector, scaled, melody.shape) == pytest.approx(1.0)
    grid = strength_grid(vector, scaled, melody.shape, pushes=(0.1, 0.2))
    assert grid.strengths == pytest.approx((0.1, 0.2))
    assert grid.description == ("blend all-to-all: 0.1 to 0.2 of the activation norm are added")


@pytest.mark.parametrize("operator", ["remove", "clamp"])
def test_operators_without_a_strength_to_search_are_refused(melody, vector, operator):
    with pytest.raises(TonearmError, match=f"operator {operator} cannot be calibrated; use one of"):
        strength_grid(vector, Configuration(operator=operator), melody.shape)
