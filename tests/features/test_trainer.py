"""Training on rows with a planted dictionary."""

import pytest
import torch

from tests.features.planted import ACTIVE, atoms, planted_rows, recovered, trained_on
from tonearm.features.autoencoder import encode, reconstruct
from tonearm.features.settings import TrainingSettings

SETTINGS = TrainingSettings(expansion=4, k=ACTIVE, rows=150_000, batch_rows=128)
SHORT = TrainingSettings(expansion=4, k=ACTIVE, rows=64 * 60, batch_rows=64)


@pytest.fixture(scope="module")
def trained():
    trainer, scale = trained_on(SETTINGS)
    return trainer.autoencoder().scaled(scale)


def test_a_planted_dictionary_is_recovered(trained):
    assert recovered(trained) >= 0.9


def test_random_features_recover_nothing():
    """The bar of the test above is beyond chance."""
    trainer, scale = trained_on(SETTINGS, steps=1)
    assert recovered(trainer.autoencoder().scaled(scale)) < 0.1


def test_a_matryoshka_prefix_reconstructs_by_itself():
    unexplained = []
    for prefixes in ((1.0,), (0.25, 1.0)):
        settings = TrainingSettings(
            expansion=4, k=ACTIVE, rows=25_000, batch_rows=128, prefixes=prefixes
        )
        trainer, scale = trained_on(settings)
        weights, x = trainer.autoencoder(), planted_rows(500, seed=999) / scale
        first = weights.features // 4
        z = encode(weights, x)[:, :first]
        error = x - z @ weights.decoder[:first] - weights.decoder_bias
        unexplained.append(float(error.square().sum()))
    assert unexplained[1] < 0.9 * unexplained[0]


def test_the_threshold_makes_k_features_active_on_new_rows(trained):
    rows = planted_rows(2000, seed=999)
    z = encode(trained, rows)
    assert float((z > 0).float().sum(-1).mean()) == pytest.approx(ACTIVE, abs=0.5)
    unexplained = (rows - reconstruct(trained, rows)).square().sum()
    assert unexplained < 0.15 * (rows - rows.mean(0)).square().sum()


def test_a_run_of_few_steps_has_a_threshold():
    trainer, _ = trained_on(SHORT, steps=2)
    assert trainer.autoencoder().threshold > 0.05


def test_dead_features_are_revived_in_a_short_run():
    """Features that never fire are dead after 5 % of the rows, and the auxiliary loss moves them."""
    trainer, scale = trained_on(SHORT, steps=1)
    weights = trainer.weights
    with torch.no_grad():
        weights["encoder_bias"][:10] = -0.05  # they lose every comparison, but are not silent
        before = weights["decoder"][:10].clone()
    losses = [trainer.step(planted_rows(64, seed=50 + i) / scale) for i in range(40)]
    assert losses[0].auxiliary == 0 < losses[-1].auxiliary
    assert losses[-1].dead > 0
    moved = (weights["decoder"][:10].detach() - before).norm(dim=-1)
    assert (moved > 0.01).all()


def test_columns_keep_unit_length():
    trainer, _ = trained_on(SHORT, steps=20)
    lengths = trainer.weights["decoder"].detach().norm(dim=-1)
    assert torch.allclose(lengths, torch.ones_like(lengths), atol=1e-5)


def test_the_bias_starts_at_the_geometric_median():
    trainer, scale = trained_on(SHORT, steps=0)
    bias = trainer.weights["decoder_bias"].detach()
    rows = planted_rows(64, seed=2) / scale
    directions = (rows - bias) / (rows - bias).norm(dim=-1, keepdim=True)
    assert directions.mean(0).norm() < 1e-3  # the gradient of the sum of distances


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not():
    first, _ = trained_on(SHORT, steps=5)
    again, _ = trained_on(SHORT, steps=5)
    other, _ = trained_on(SHORT.model_copy(update={"seed": 1}), steps=5)
    assert torch.equal(first.weights["decoder"], again.weights["decoder"])
    assert not torch.equal(first.weights["decoder"], other.weights["decoder"])


def test_a_restored_trainer_continues_as_if_it_had_not_stopped():
    whole, scale = trained_on(SHORT, steps=12)
    stopped, _ = trained_on(SHORT, steps=7)
    state = stopped.state()
    restored, _ = trained_on(SHORT, steps=0)
    restored.restore(state)
    for step in range(7, 12):
        restored.step(planted_rows(64, seed=3 + step) / scale)
    expected = whole.state()
    for name, value in restored.state().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize(
    "name", ["encoder.exp_avg", "decoder.step", "rows_since_active", "threshold_sum"]
)
def test_every_part_of_the_state_matters(name):
    """Each part, if it were lost, would change the result; so the test above compares something."""
    stopped, scale = trained_on(SHORT, steps=30)
    state = stopped.state()
    assert state[name].float().abs().sum() > 0
    kept, lost = (trained_on(SHORT, steps=0)[0] for _ in range(2))
    kept.restore(state)
    lost.restore({**state, name: torch.zeros_like(state[name])})
    for trainer in (kept, lost):
        for step in range(5):
            trainer.step(planted_rows(64, seed=200 + step) / scale)
    after = [trainer.state() for trainer in (kept, lost)]
    assert any(not torch.equal(after[0][key], after[1][key]) for key in after[0])


def test_the_atoms_are_more_than_the_width():
    assert len(atoms()) > atoms().shape[1]
