"""Directions without components that carry no attribute: algebra on planted data."""

import torch

from tonearm.methods.cleaning import without_mean, without_variation


def planted(width=16, layers=3, rows=200, seed=0):
    """Neutral rows around a mean, with two strong nuisance directions per layer."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(layers, width, 4, generator=generator)).Q.mT
    mean, first, second, concept = basis.unbind(1)
    noise = torch.randn(rows, layers, 2, generator=generator)
    neutral = 5 * mean + 9 * noise[..., :1] * first + 6 * noise[..., 1:] * second
    neutral += 0.01 * torch.randn(neutral.shape, generator=generator)
    return neutral, mean, first, second, concept


def test_what_neutral_prompts_vary_in_is_projected_out_and_the_concept_stays():
    neutral, _, first, second, concept = planted()
    mixed = concept + 2 * first - 3 * second
    cleaned = without_variation(mixed, neutral, 2)
    assert torch.allclose(cleaned, concept, atol=0.02)
    assert torch.allclose(without_variation(mixed, neutral, 1), concept - 3 * second, atol=0.5)
    assert torch.equal(without_variation(mixed, neutral, 0), mixed)


def test_the_mean_activation_is_projected_out():
    neutral, mean, _, _, concept = planted(rows=5000)
    cleaned = without_mean(concept + 4 * mean, neutral)
    centre = neutral.mean(0)
    assert (cleaned * centre).sum(-1).abs().max() < 1e-4
    assert torch.nn.functional.cosine_similarity(cleaned, concept, dim=-1).min() > 0.9
