"""Readouts: which projection of a steering's vectors is read, and in which unit."""

import pytest
import torch

from tests.steering.vectors import random_vector, scales_of
from tonearm.steering import Steer, Steering
from tonearm.steering.readout import readouts


@pytest.fixture
def vectors():
    plain = random_vector(layers=4, best_layer=2)
    return {"v": plain, "scaled": random_vector(layers=4, seed=1, frame_scales=scales_of(4))}


@pytest.mark.parametrize(
    ("steer", "layer"),
    [
        (Steer(vector="v", source_layer=1), 1),
        (Steer(vector="v", source_layer=3, strategy="one-to-one"), 3),
        (Steer(vector="v", strategy="all-to-all"), 2),
        (Steer(vector="v", strategy="all-to-all", layers=(0, 1)), 1),
    ],
)
def test_a_vector_is_read_at_the_layer_that_its_direction_is_of(vectors, steer, layer):
    (found,) = readouts(Steering(steers=(steer,)), vectors)
    assert (found.vector, found.site, found.layer) == ("v", "residual", layer)
    direction = vectors["v"][layer]
    torch.testing.assert_close(found.direction, direction / direction.norm())


def test_a_vector_of_several_steers_is_read_once(vectors):
    steers = [
        Steer(vector="scaled", source_layer=1),
        Steer(vector="v", source_layer=0),
        Steer(vector="scaled", source_layer=2, operator="rotate"),
    ]
    found = readouts(Steering(steers=tuple(steers)), vectors)
    assert [(one.vector, one.layer) for one in found] == [("scaled", 1), ("v", 0)]


def test_the_unit_is_the_standard_deviation_where_frame_scales_are_known(vectors):
    steers = (Steer(vector="scaled", source_layer=1), Steer(vector="v", source_layer=1))
    scaled, plain = readouts(Steering(steers=steers), vectors)
    scales = vectors["scaled"].info.frame_scales
    mean, deviation = scales.means[1], scales.deviations[1]
    assert scaled.scaled(mean + 2 * deviation) == pytest.approx(2)
    assert (plain.scaled(3.5), plain.deviation) == (3.5, None)
