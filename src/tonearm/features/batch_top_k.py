"""Parts of the training of BatchTopK autoencoders, as pure functions.

Shapes: B rows of a batch; F features; D width.

Source: Bussmann, Leask & Nanda 2024, "BatchTopK sparse autoencoders"; the auxiliary loss is that of
Gao et al. 2024, "Scaling and evaluating sparse autoencoders"; nested prefixes are those of Bussmann
et al. 2025, "Learning multi-level features with Matryoshka sparse autoencoders".
"""

from collections.abc import Sequence

import torch

MEDIAN_STEPS = 100  # of Weiszfeld's iteration
TINY = 1e-12


def batch_top_k(values: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keep the k·B largest positive values of a whole batch.

    Args:
        values: [B, F], not negative.
        k: mean number of values kept per row.

    Returns:
        The values with 0 in place of the others, [B, F], and the smallest value that is kept.
    """
    flat = values.detach().flatten()
    largest = flat.topk(min(k * len(values), flat.numel()), sorted=False).values
    smallest = largest[largest > 0].min() if (largest > 0).any() else largest.new_zeros(())
    is_kept = (values.detach() >= smallest) & (values.detach() > 0)
    return torch.where(is_kept, values, 0), smallest


def nested_losses(
    x: torch.Tensor,
    z: torch.Tensor,
    decoder: torch.Tensor,
    decoder_bias: torch.Tensor,
    prefixes: Sequence[int],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the squared error of the reconstruction by each prefix of the features.

    Args:
        x: activations [B, D].
        z: values of features [B, F].
        decoder: [F, D].
        decoder_bias: [D].
        prefixes: numbers of features, rising; the last is F.

    Returns:
        The mean over prefixes of the mean squared length of the error, and the error x - x^ of all
        features, [B, D].
    """
    error, total, start = x - decoder_bias, x.new_zeros(()), 0
    for end in prefixes:
        error = error - z[:, start:end] @ decoder[start:end]
        total = total + error.square().sum(-1).mean()
        start = end
    return total / len(prefixes), error


def auxiliary_loss(
    error: torch.Tensor, values: torch.Tensor, decoder: torch.Tensor, dead: torch.Tensor
) -> torch.Tensor:
    """Compute how badly the best dead features reconstruct the error, relative to its variance.

    It gives dead features a gradient: in each row the D / 2 dead features of the largest values
    reconstruct the error that the others leave.

    Args:
        error: x - x^ without a gradient, [B, D].
        values: a(x) of all features, [B, F].
        decoder: [F, D].
        dead: bool [F].

    Returns:
        0 where no feature is dead.
    """
    count = min(error.shape[1] // 2, int(dead.sum()))
    if not count:
        return error.new_zeros(())
    of_dead = values[:, dead]
    best = of_dead.topk(count, dim=-1, sorted=False)
    z = torch.zeros_like(of_dead).scatter(-1, best.indices, best.values)
    missing = (error - z @ decoder[dead]).square().sum(-1).mean()
    variance = (error - error.mean(0)).square().sum(-1).mean()
    return missing / variance.clamp(min=TINY)


def without_parallel_part(gradient: torch.Tensor, decoder: torch.Tensor) -> torch.Tensor:
    """Remove from the gradient of unit columns, [F, D], the part that changes their length."""
    return gradient - (gradient * decoder).sum(-1, keepdim=True) * decoder


def unit_columns(decoder: torch.Tensor) -> torch.Tensor:
    """Scale the columns of W_dec, [F, D], to unit length."""
    return decoder / decoder.norm(dim=-1, keepdim=True).clamp(min=TINY)


def geometric_median(rows: torch.Tensor) -> torch.Tensor:
    """Point with the least sum of distances to rows [B, D]; float32 [D].

    Source: Weiszfeld 1937.
    """
    rows = rows.double()
    point = rows.mean(0)
    for _ in range(MEDIAN_STEPS):
        weights = 1 / (rows - point).norm(dim=-1).clamp(min=TINY)
        point = (weights[:, None] * rows).sum(0) / weights.sum()
    return point.float()
