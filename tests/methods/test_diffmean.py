"""DiffMean on activations with a known direction."""

from dataclasses import replace

import pytest
import torch

from tests.methods.planted import CONCEPT, planted
from tonearm.activations import RunningMoments
from tonearm.errors import TonearmError
from tonearm.methods import Activations, method_named
from tonearm.methods.diffmean import diffmean, separation

LAYERS, WIDTH = 4, 64


def moments_of(rows: torch.Tensor) -> RunningMoments:
    moments = RunningMoments()
    for batch in rows.split(32):
        moments.add(batch)
    return moments


def test_a_planted_direction_is_found_with_its_length():
    generator = torch.Generator().manual_seed(0)
    planted = (
        torch.randn(LAYERS, WIDTH, generator=generator)
        * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None]
    )
    common = 10 * torch.randn(LAYERS, WIDTH, generator=generator)
    below = common + torch.randn(400, LAYERS, WIDTH, generator=generator)
    above = common + planted + torch.randn(400, LAYERS, WIDTH, generator=generator)
    found = diffmean(moments_of(above), moments_of(below))
    assert found.shape == (LAYERS, WIDTH) and found.dtype == torch.float32
    assert torch.cosine_similarity(found, planted, dim=-1).min() > 0.99
    assert torch.allclose(found.norm(dim=-1), planted.norm(dim=-1), rtol=0.05)
    assert torch.allclose(diffmean(moments_of(below), moments_of(above)), -found)
    scores = separation(moments_of(above), moments_of(below))
    assert scores.argsort().tolist() == [0, 1, 2, 3]


def test_separation_is_the_formula():
    generator = torch.Generator().manual_seed(1)
    above, below = (
        torch.randn(20, 2, 5, generator=generator) * 3 + 1,
        torch.randn(30, 2, 5, generator=generator),
    )
    for layer in range(2):
        a, b = above[:, layer].double(), below[:, layer].double()
        traces = [torch.cov(x.T, correction=0).trace() for x in (a, b)]
        expected = (a.mean(0) - b.mean(0)).norm() / (sum(traces) / 2).sqrt()
        assert separation(moments_of(above), moments_of(below))[layer] == pytest.approx(
            float(expected), rel=1e-9
        )


def test_equal_activations_have_no_direction():
    rows = torch.randn(5, LAYERS, WIDTH)
    with pytest.raises(TonearmError, match="same activations"):
        diffmean(moments_of(rows), moments_of(rows))


def test_separation_of_single_rows_is_finite():
    assert torch.isfinite(
        separation(moments_of(torch.ones(1, 2, 3)), moments_of(torch.zeros(1, 2, 3)))
    ).all()


def test_rows_add_held_out_scores_and_leave_the_directions_as_they_are():
    truth = planted()
    activations = truth.activations
    moments_alone = Activations(activations.positive, activations.negative)
    plain, tested = (method_named("diffmean").fit(one) for one in (moments_alone, activations))
    assert torch.equal(plain.directions, tested.directions)
    assert list(plain.scores) == ["separation"] and not plain.statistics and plain.has_direction
    assert torch.equal(plain.scores["separation"], tested.scores["separation"])
    assert {"auc", "accuracy", "validation_auc", "split_half_cosine"} < set(tested.scores)
    assert tested.best_layer == CONCEPT


def test_rows_of_few_groups_have_scores_of_consistency_alone():
    few = planted(positive=40, negative=10).activations
    fit = method_named("diffmean").fit(few)
    assert list(fit.scores) == ["separation", "split_half_cosine", "d_prime"]
    assert not fit.statistics
    fewer = planted(positive=40, negative=4).activations
    assert list(method_named("diffmean").fit(fewer).scores) == ["separation"]


def test_rows_that_may_not_be_held_out_leave_the_best_layer_to_the_separation():
    activations = replace(planted().activations, hold_out=False)
    fit = method_named("diffmean").fit(activations)
    assert list(fit.scores) == ["separation", "split_half_cosine", "d_prime"]
    assert fit.best_layer == int(fit.scores["separation"].argmax()) and not fit.statistics
    tested = method_named("diffmean").fit(planted().activations)
    for name in fit.scores:
        assert torch.equal(fit.scores[name], tested.scores[name])
