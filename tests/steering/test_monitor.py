"""Monitors: probabilities, limits, and their place in vectors and files."""

from dataclasses import replace

import pytest
import safetensors.torch
import torch

from tests.steering.test_vector_file import rewrite
from tests.steering.vectors import random_monitor, random_vector
from tonearm.errors import TonearmError
from tonearm.steering import SteeringVector, load_vector, save_vector


def monitored(**fields) -> SteeringVector:
    """Vector of 3 layers with 2 heads of 4 outputs."""
    return replace(random_vector(site="heads"), monitor=random_monitor(**fields))


def test_a_probe_is_the_logistic_function_of_a_weighted_sum():
    monitor = random_monitor(count=2)
    outputs = torch.randn(5, 2, 4)
    found = monitor.probabilities(outputs)
    assert found.shape == (5, 2)
    for row in range(5):
        for m in range(2):
            logit = outputs[row, m] @ monitor.weights[m] + monitor.biases[m]
            assert float(found[row, m]) == pytest.approx(float(1 / (1 + (-logit).exp())), abs=1e-6)
    half = monitor.probabilities(outputs.to(torch.bfloat16))
    assert half.dtype == torch.float32 and torch.allclose(half, found, atol=0.05)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(weights=torch.zeros(2, 4)), "layers, heads and biases"),
        (dict(weights=torch.zeros(12)), "layers, heads and biases"),
        (dict(weights=torch.zeros(3, 0)), "layers, heads and biases"),
        (dict(weights=torch.full((3, 4), torch.nan)), "NaN or infinite"),
        (dict(biases=torch.full((3,), torch.inf)), "NaN or infinite"),
        (dict(layers=torch.tensor([0, -1, 1])), "negative layer or head"),
        (dict(threshold=1.5), "the threshold of a monitor is 1.5; use 0 to 1"),
        (dict(threshold="high"), "threshold"),
    ],
)
def test_impossible_monitors_are_refused(fields, message):
    with pytest.raises(TonearmError, match=message):
        replace(random_monitor(), **fields)


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        (random_monitor(size=3), "reads head 1 of 3 outputs, which a width of 8"),
        (random_monitor(heads=4, count=12), "reads head 3 of 4 outputs, which a width of 8"),
        (random_monitor(layers=4, count=8), r"reads layer 3, which is outside 0\.\.2"),
        ("probes", "give a Monitor"),
    ],
)
def test_a_vector_refuses_a_monitor_of_another_shape(monitor, message):
    with pytest.raises(TonearmError, match=message):
        replace(random_vector(site="heads"), monitor=monitor)


def test_a_vector_of_another_site_has_no_monitor():
    with pytest.raises(TonearmError, match="of site residual has a monitor"):
        replace(random_vector(), monitor=random_monitor())


def test_the_monitor_follows_the_sign_and_is_lost_in_a_sum():
    vector = monitored()
    outputs = torch.randn(6, 3, 4)
    read = vector.monitor.probabilities(outputs)
    for same in (2 * vector, vector.renamed("w"), vector.random_like(1)):
        assert torch.equal(same.monitor.probabilities(outputs), read)
    for negated in (-vector, -0.5 * vector):
        torch.testing.assert_close(negated.monitor.probabilities(outputs), 1 - read)
        assert negated.monitor.threshold == vector.monitor.threshold
    other = random_vector(site="heads", seed=1, name="w")
    assert (vector + other).monitor is (vector - other).monitor is None


def test_the_monitor_is_part_of_the_hash():
    vector = monitored()
    plain = replace(vector, monitor=None)
    changed = [
        replace(vector, monitor=replace(vector.monitor, **{name: value}))
        for name, value in (
            ("layers", (vector.monitor.layers + 1) % 3),
            ("heads", 1 - vector.monitor.heads),
            ("weights", vector.monitor.weights * 2),
            ("biases", vector.monitor.biases + 1),
            ("threshold", 0.7500001),
        )
    ]
    hashes = {one.content_hash() for one in (plain, vector, *changed)}
    assert len(hashes) == 7


def test_a_file_keeps_the_monitor_exactly(tmp_path):
    vector = monitored(threshold=1 / 3)
    path = save_vector(vector, tmp_path / "v")
    again = load_vector(path)
    assert again.content_hash() == vector.content_hash()
    for name, tensor in vector.monitor.tensors().items():
        assert torch.equal(again.monitor.tensors()[name], tensor)
    assert load_vector(save_vector(random_vector(), tmp_path / "plain")).monitor is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"monitor.weights": torch.ones(3, 4)}, "do not match the stored content hash"),
        ({"monitor.weights": None}, "has the tensors biases, heads, layers, threshold, not"),
        ({"monitor.more": torch.ones(1)}, "has the tensors biases, heads, layers, more"),
        ({"monitor.layers": torch.zeros(3)}, "monitor.layers is of type torch.float32"),
        ({"monitor.threshold": torch.ones(2, dtype=torch.float64)}, "several thresholds"),
        ({"monitor.biases": torch.ones(2)}, "layers, heads and biases"),
    ],
)
def test_a_damaged_monitor_is_refused_with_the_file(tmp_path, change, message):
    path = save_vector(monitored(), tmp_path / "v")
    tensors = safetensors.torch.load_file(path) | change
    rewrite(path, {name: one for name, one in tensors.items() if one is not None})
    with pytest.raises(TonearmError, match=message) as error:
        load_vector(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
