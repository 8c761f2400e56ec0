"""Parts of BatchTopK training."""

import pytest
import torch

from tonearm.features.batch_top_k import (
    auxiliary_loss,
    batch_top_k,
    geometric_median,
    nested_losses,
    unit_columns,
    without_parallel_part,
)


def random(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


def test_batch_top_k_keeps_the_largest_values_of_the_whole_batch():
    values = torch.tensor([[5.0, 4.0, 3.0, 0.0], [1.0, 0.5, 0.0, 0.0]])
    kept, smallest = batch_top_k(values, 2)
    assert kept.tolist() == [[5.0, 4.0, 3.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
    assert smallest == 1.0


def test_batch_top_k_never_keeps_zeros():
    values = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    kept, smallest = batch_top_k(values, 3)
    assert torch.equal(kept, values) and smallest == 2.0
    kept, smallest = batch_top_k(torch.zeros(2, 3), 1)
    assert not kept.any() and smallest == 0


def test_one_prefix_is_the_plain_squared_error():
    x, z, decoder, bias = random(8, 5), torch.relu(random(8, 12)), random(12, 5), random(5)
    loss, error = nested_losses(x, z, decoder, bias, (12,))
    assert torch.allclose(error, x - (z @ decoder + bias), atol=1e-5)
    assert torch.allclose(loss, error.square().sum(-1).mean())


def test_nested_prefixes_have_equal_weights():
    x, z, decoder, bias = random(8, 5), torch.relu(random(8, 12)), random(12, 5), random(5)
    loss, error = nested_losses(x, z, decoder, bias, (3, 6, 12))
    each = [(x - z[:, :n] @ decoder[:n] - bias).square().sum(-1).mean() for n in (3, 6, 12)]
    assert torch.allclose(loss, sum(each) / 3)
    assert torch.allclose(error, x - z @ decoder - bias, atol=1e-5)


def test_the_auxiliary_loss_reaches_dead_features_alone():
    encoder = random(10, 6, seed=1).requires_grad_()
    decoder = unit_columns(random(10, 6, seed=2)).requires_grad_()
    values, error = torch.relu(random(32, 6) @ encoder.T), random(32, 6, seed=3)
    dead = torch.zeros(10, dtype=torch.bool)
    assert auxiliary_loss(error, values, decoder, dead) == 0
    dead[[2, 5]] = True
    auxiliary_loss(error, values, decoder, dead).backward()
    assert encoder.grad[dead].any(1).all() and not encoder.grad[~dead].any()
    assert decoder.grad[dead].any(1).all() and not decoder.grad[~dead].any()


def test_the_auxiliary_loss_is_1_for_features_that_explain_nothing():
    error = random(512, 6)
    dead = torch.ones(4, dtype=torch.bool)
    loss = auxiliary_loss(error, torch.zeros(512, 4), random(4, 6), dead)
    assert loss == pytest.approx(1.0, abs=0.02)


def test_the_projected_gradient_does_not_change_the_length_of_columns():
    decoder = unit_columns(random(10, 6))
    gradient = without_parallel_part(random(10, 6, seed=1), decoder)
    assert torch.allclose((gradient * decoder).sum(-1), torch.zeros(10), atol=1e-6)
    parallel = without_parallel_part(3 * decoder, decoder)
    assert torch.allclose(parallel, torch.zeros(10, 6), atol=1e-6)


def test_the_geometric_median_ignores_a_far_row():
    rows = random(101, 4)
    rows[0] = 1e4
    assert geometric_median(rows).norm() < 0.5 < rows.mean(0).norm()
