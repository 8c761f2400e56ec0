"""Sparse autoencoders: encoding by a fixed threshold, scaling."""

import pytest
import torch

from tests.features.planted import WIDTH, planted_rows, trained_on
from tonearm.features.autoencoder import (
    SparseAutoencoder,
    decode,
    encode,
    feature_values,
    reconstruct,
)
from tonearm.features.settings import TrainingSettings

SETTINGS = TrainingSettings(expansion=2, k=3, rows=6_400, batch_rows=64)


@pytest.fixture(scope="module")
def trainer():
    return trained_on(SETTINGS)[0]


def test_a_feature_is_active_above_the_threshold_and_keeps_its_value():
    weights = SparseAutoencoder(
        torch.eye(3), torch.tensor([0.0, 0.5, 0.0]), torch.eye(3), torch.zeros(3), threshold=1.0
    )
    x = torch.tensor([1.0, 0.75, -5.0])
    assert feature_values(weights, x).tolist() == [1.0, 1.25, 0.0]
    assert encode(weights, x).tolist() == [0.0, 1.25, 0.0]
    assert reconstruct(weights, x).tolist() == [0.0, 1.25, 0.0]


def test_the_features_of_a_row_do_not_depend_on_its_batch_mates(trainer):
    weights = trainer.autoencoder()
    rows = planted_rows(40, seed=9)
    loud = 100 * planted_rows(200, seed=10)
    alone = encode(weights, rows)
    beside = encode(weights, torch.cat([loud, rows]))[200:]
    assert torch.equal(alone > 0, beside > 0)
    assert torch.allclose(alone, beside, atol=1e-5)
    assert (alone > 0).any()


@pytest.mark.parametrize("scale", [0.03, 44.0])
def test_the_scale_of_training_is_folded_into_the_weights(trainer, scale):
    normalised = trainer.autoencoder()
    folded = normalised.scaled(scale)
    x = planted_rows(64, seed=9)
    expected = encode(normalised, x)
    found = encode(folded, scale * x)
    assert torch.equal(expected > 0, found > 0)
    assert torch.allclose(found, scale * expected, rtol=1e-4, atol=1e-4 * scale)
    assert torch.allclose(
        decode(folded, found), scale * decode(normalised, expected), rtol=1e-4, atol=1e-4 * scale
    )
    assert folded.threshold == pytest.approx(scale * normalised.threshold)
    assert torch.allclose(folded.decoder.norm(dim=-1), torch.ones(2 * WIDTH), atol=1e-5)
