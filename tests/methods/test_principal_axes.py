"""Principal axes from the covariance and from the Gram matrix."""

import numpy as np
import pytest

from tonearm.methods.principal_axes import principal_axes


@pytest.mark.parametrize(("n", "width"), [(60, 8), (20, 50), (9, 9)])
@pytest.mark.parametrize("mean", [0.0, 1e3])
def test_the_axes_are_orthonormal_and_give_back_rows_and_covariance(n, width, mean):
    rows = mean + np.random.default_rng(0).normal(size=(n, width)) * np.geomspace(30, 0.1, width)
    axes = principal_axes(rows)
    count = min(n - 1, width)
    assert axes.directions.shape == (width, count) and axes.coordinates.shape == (n, count)
    assert np.allclose(axes.directions.T @ axes.directions, np.eye(count), atol=1e-8)
    assert np.allclose(axes.coordinates @ axes.directions.T, rows - rows.mean(0), atol=1e-8)
    covariance = axes.directions * axes.variances @ axes.directions.T
    assert np.allclose(covariance, np.cov(rows.T, bias=True), atol=1e-8)


@pytest.mark.parametrize("n", [40, 6])
def test_axes_without_variance_are_left_out(n):
    rows = np.random.default_rng(1).normal(size=(n, 2)) @ np.ones((2, 10))  # one dimension of ten
    assert len(principal_axes(rows).variances) == 1
    assert len(principal_axes(np.full((n, 10), 7.0)).variances) == 0
