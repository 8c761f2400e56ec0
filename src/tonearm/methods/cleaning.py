"""Directions without components that carry no attribute.

A difference of means also holds what neutral prompts vary in, and the mean activation itself. Both
move the model away from where it works without moving the attribute.

Shapes: L layers, D width, n rows.
"""

import torch


def without_variation(
    directions: torch.Tensor, neutral: torch.Tensor, components: int
) -> torch.Tensor:
    """Project out what neutral activations vary in most.

    Args:
        directions: [L, D].
        neutral: activations of neutral prompts, [n, L, D].
        components: principal components per layer, from 0.

    Returns:
        float32 [L, D].
    """
    if not components:
        return directions.clone()
    centred = (neutral - neutral.mean(0)).double().transpose(0, 1)  # [L, n, D]
    basis = torch.linalg.svd(centred, full_matrices=False).Vh[:, :components]  # [L, k, D]
    found = directions.double()
    shared = torch.einsum("lkd,ld->lk", basis, found)
    return (found - torch.einsum("lk,lkd->ld", shared, basis)).float()


def without_mean(directions: torch.Tensor, neutral: torch.Tensor) -> torch.Tensor:
    """Make directions orthogonal to the mean activation.

    Args:
        directions: [L, D].
        neutral: activations of neutral prompts, [n, L, D].

    Returns:
        float32 [L, D].
    """
    mean = neutral.double().mean(0)
    unit = mean / mean.norm(dim=-1, keepdim=True)
    found = directions.double()
    return (found - (found * unit).sum(-1, keepdim=True) * unit).float()
