"""Kernel regression with a metric of its own gradients."""

import numpy as np
import pytest

from tests.methods.planted import cosine
from tonearm.methods.kernel_machine import Setting, iterations

SETTING = Setting(bandwidth=1.0, ridge=0.1)


def linear(n=80, width=6, seed=0):
    """Rows whose label depends on axis 0, and their targets."""
    rng = np.random.default_rng(seed)
    rows, targets = rng.normal(size=(n, width)), np.where(np.arange(n) % 2, 1.0, -1.0)
    rows[:, 0] += 1.5 * targets
    return rows, targets


def machines(rows, targets, setting=SETTING, count=4):
    return list(iterations(rows, targets, setting, count))


def leading(matrix):
    return np.linalg.eigh(matrix)[1][:, -1]


@pytest.mark.parametrize("iteration", [0, 2])
def test_the_prediction_is_that_of_kernel_ridge_regression_under_the_metric(iteration):
    rows, targets = linear(n=20)
    found = machines(rows, targets)[iteration]
    metric = np.eye(6)
    for before in machines(rows, targets)[:iteration]:
        gradients = before.gradients()
        metric = gradients.T @ gradients
    distance = np.array([[np.sqrt((a - b) @ metric @ (a - b)) for a in rows] for b in rows])
    length = np.median(distance[np.triu_indices(20, 1)])
    kernel = np.exp(-distance / length)
    weights = np.linalg.solve(kernel + 0.1 * np.eye(20), targets - targets.mean())
    new = np.random.default_rng(1).normal(size=(5, 6))
    apart = np.array([[np.sqrt((a - b) @ metric @ (a - b)) for b in rows] for a in new])
    assert np.allclose(found.predict(new), np.exp(-apart / length) @ weights, atol=1e-6)


@pytest.mark.parametrize("iteration", [0, 1, 3])
def test_gradients_are_those_of_finite_differences(iteration):
    """A row's own term has a kink at the row, and no part in its gradient."""
    rows, targets = linear(n=15)
    machine = machines(rows, targets)[iteration]
    step = 1e-4 * np.eye(6)
    for j in (0, 7):
        differences = [
            (machine.predict((rows[j] + one)[None]) - machine.predict((rows[j] - one)[None]))[0]
            / 2e-4
            for one in step
        ]
        assert np.allclose(machine.gradients()[j], differences, rtol=1e-3, atol=1e-5)


def test_the_mean_gradient_is_the_direction_of_a_linear_concept():
    """Without it the leading axis is another one."""
    rng = np.random.default_rng(0)
    rows, targets = rng.normal(size=(200, 24)), np.where(np.arange(200) % 2, 1.0, -1.0)
    rows[:, 1] *= 2
    rows[:, 0] += targets
    gradients = machines(rows, targets, Setting(4.0, 1e-3), 1)[0].gradients()
    concept = np.eye(24)[0]
    assert abs(cosine(leading(gradients.T @ gradients), concept)) > 0.95
    centred = gradients - gradients.mean(0)
    assert abs(cosine(leading(centred.T @ centred), concept)) < 0.2
    assert abs(cosine(gradients.mean(0), concept)) > 0.95


@pytest.mark.parametrize("scale", [1e-3, 30.0, 1e4])
def test_the_scale_of_rows_does_not_change_predictions(scale):
    """A fixed bandwidth would make a machine of long rows one that memorises."""
    rows, targets = linear()
    for plain, scaled in zip(machines(rows, targets), machines(scale * rows, targets), strict=True):
        assert np.allclose(plain.predict(rows[:9] + 0.1), scaled.predict(scale * (rows[:9] + 0.1)))
        assert cosine(plain.gradients()[3], scaled.gradients()[3]) > 1 - 1e-6


def test_the_metric_grows_along_the_concept():
    rows, targets = linear(n=200)
    shares = [
        one.metric[0, 0] / one.metric.trace() for one in machines(rows, targets, Setting(2.0, 0.1))
    ]
    assert shares[0] == pytest.approx(1 / 6) and shares[1] > 0.7 and shares[-1] > 0.95


def test_equal_rows_have_no_part_in_gradients():
    rows, targets = linear(n=20)
    doubled = np.concatenate([rows, rows])
    for machine in machines(doubled, np.concatenate([targets, targets])):
        assert np.isfinite(machine.gradients()).all()
        assert not machine.pull[np.arange(20), 20 + np.arange(20)].any()


@pytest.mark.parametrize("width", [8, 64])
def test_many_equal_rows_leave_the_bandwidth_to_the_others(width):
    """Silence repeats a row: the rounding between equal rows is no distance."""
    rng = np.random.default_rng(0)
    rows = np.concatenate(
        [np.tile(10 * rng.normal(size=width), (60, 1)), rng.normal(size=(8, width))]
    )
    targets = np.sign(rng.normal(size=68))
    for machine in machines(rows, targets, Setting(1.0, 1e-3), 3):
        apart = [np.sqrt((a - b) @ machine.metric @ (a - b)) for a in rows[59:] for b in rows[59:]]
        assert machine.length > 0.1 * np.max(apart)
        assert np.isfinite(machine.gradients()).all()


@pytest.mark.parametrize(
    ("rows", "count"), [(np.ones((10, 3)), 0), (np.zeros((10, 0)), 0), (linear(n=10)[0], 1)]
)
def test_rows_or_targets_that_do_not_differ_have_no_further_machines(rows, count):
    assert len(machines(rows, np.ones(10))) == count
