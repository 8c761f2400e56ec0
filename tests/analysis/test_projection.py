"""Projection of two classes onto principal components."""

import numpy as np
import pytest

from tonearm.analysis.projection import project, separation
from tonearm.errors import TonearmError


def classes(distance=6.0, n=200, seed=0):
    rng = np.random.default_rng(seed)
    both = rng.normal(size=(2, n, 16))
    both[0, :, 3] += distance
    return both


def test_a_planted_distance_is_the_separation_and_the_first_component():
    positive, negative = classes()
    plane = project(positive, negative)
    assert plane.separation == pytest.approx(6.0, rel=0.15)
    assert plane.in_plane == pytest.approx(6.0, rel=0.15)
    assert plane.variance[0] > 3 * plane.variance[1]
    for density, points in zip(plane.densities, (plane.positive, plane.negative), strict=True):
        row, column = np.unravel_index(density.argmax(), density.shape)
        peak = np.array([plane.x[column], plane.y[row]])
        assert np.linalg.norm(peak - np.median(points, 0)) < 1.0
        cell = (plane.x[1] - plane.x[0]) * (plane.y[1] - plane.y[0])
        assert density.sum() * cell == pytest.approx(1, abs=0.05)


def test_variance_without_classes_hides_them_in_the_plane_but_not_from_their_direction():
    positive, negative = classes(distance=3.0)
    both = np.concatenate([positive, negative])
    both[:, 5] *= 30
    both[:, 6] *= 20
    plane = project(both[:200], both[200:])
    assert plane.in_plane < 0.5
    assert separation(positive, negative) > 2.5


def test_too_few_activations_and_points_on_a_line_are_refused():
    with pytest.raises(TonearmError, match="3 or more"):
        project(np.ones((2, 4)), np.ones((9, 4)))
    line = np.outer(np.arange(5.0), np.ones(4))
    with pytest.raises(TonearmError, match="lie on a line"):
        project(line, line + 10)
    assert separation(np.ones((4, 2)), np.ones((4, 2))) == 0.0
