"""Lengths of directions that follow the scores of their layers.

    w_l = ((s_l - min s) / (max s - min s))^(1 / 0.95)

Almost linear: 1 for the layer with the highest score and 0 for that with the lowest, which is thus
not steered.

Shapes: L layers.

Source: Zhao et al. 2025 (MusicRFM; github.com/astradzhao/music-rfm), where unit directions are
weighted so that the whole length grows with the number of layers, and equal scores give NaN.
"""

from dataclasses import replace

import torch

from tonearm.methods.base import Fit

EXPONENT = 1 / 0.95


def layer_weights(scores: torch.Tensor) -> torch.Tensor:
    """Compute w; where all scores are equal all weights are 1.

    Args:
        scores: of each layer, such as validation_auc, [L].

    Returns:
        float64 [L].
    """
    values = scores.double()
    spread = values.max() - values.min()
    if not spread:
        return torch.ones_like(values)
    return ((values - values.min()) / spread) ** EXPONENT


def with_layer_weights(fit: Fit, scores: torch.Tensor) -> Fit:
    """Make lengths proportional to the layer weights, with the same sum over the layers.

    Args:
        fit: of any method.
        scores: of each layer, [L]; layers without a direction have no part.
    """
    lengths = fit.directions.double().norm(dim=-1)
    has = lengths > 0
    if not has.any():
        return fit
    weights = layer_weights(scores[has])
    scaled = torch.zeros_like(fit.directions)
    target = weights * (lengths.sum() / weights.sum())
    scaled[has] = (fit.directions[has] * (target / lengths[has])[:, None]).float()
    return replace(fit, directions=scaled)
