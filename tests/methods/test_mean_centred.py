"""Mean-centring: a target against a broad background."""

import torch

from tests.methods.planted import CONCEPT, cosine, planted
from tonearm.methods import Activations, method_named


def test_it_is_the_difference_of_the_means_of_target_and_background():
    truth = planted()
    fit = method_named("mean-centred").fit(truth.activations)
    target, background = (truth.rows[truth.labels == label].mean(0) for label in (1, 0))
    assert torch.allclose(fit.directions, target - background, atol=1e-5)


def test_a_background_that_holds_the_target_shortens_the_direction_by_its_share():
    truth = planted(positive=100, negative=300)
    is_target = truth.labels == 1
    whole = Activations.from_rows(
        torch.cat([truth.rows[is_target], truth.rows]),
        torch.cat([torch.ones(100), torch.zeros(400)]).long(),
        torch.arange(500),
    )
    method = method_named("mean-centred")
    against_all, against_rest = method.fit(whole), method.fit(truth.activations)
    assert cosine(against_all.directions[CONCEPT], against_rest.directions[CONCEPT]) > 1 - 1e-6
    share = against_all.directions[CONCEPT].norm() / against_rest.directions[CONCEPT].norm()
    assert abs(float(share) - 0.75) < 1e-4
