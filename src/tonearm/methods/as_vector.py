"""A fit as a steering vector with its provenance."""

from collections.abc import Mapping
from typing import Any

import torch

from tonearm import __version__
from tonearm.activations.pooling import check_pooling
from tonearm.backend import ModelShape
from tonearm.methods.base import Activations, Fit
from tonearm.steering import SteeringVector, VectorInfo

DECIMALS = 6  # of norms, projections and scores in a vector's metadata


def as_vector(
    fit: Fit, activations: Activations, shape: ModelShape, provenance: Mapping[str, Any]
) -> SteeringVector:
    """Make a vector of a fit.

    The monitor of the fit is left out where the rows are of positions that generation does not
    repeat: the text's EOS, or BOS.

    Args:
        fit: of a method.
        activations: that it is a fit of, for the scales of its layers.
        shape: of the checkpoint.
        provenance: other fields of VectorInfo.
    """
    positive, negative = activations.mean_projections(fit.directions)
    info = VectorInfo(
        checkpoint=shape.public_name,
        fingerprint=shape.fingerprint,
        width=shape.width,
        layer_count=shape.layer_count,
        best_layer=fit.best_layer,
        activation_norms=_by_layer(activations.mean_norms),
        positive_projections=_by_layer(positive),
        negative_projections=_by_layer(negative),
        scores={name: _by_layer(values) for name, values in fit.scores.items()},
        head_scores={name: _by_head(values) for name, values in fit.head_scores.items()},
        statistics={name: round(value, DECIMALS) for name, value in fit.statistics.items()},
        library_version=__version__,
        **provenance,
    )
    is_of_music = info.source == "audio" or check_pooling(info.pooling).needs_codes
    return SteeringVector(
        dict(enumerate(fit.directions)), info, fit.monitor if is_of_music else None
    )


def _by_layer(values: torch.Tensor) -> dict[int, float]:
    return {layer: round(float(value), DECIMALS) for layer, value in enumerate(values)}


def _by_head(values: torch.Tensor) -> dict[int, tuple[float, ...]]:
    """Values [L, H] by layer."""
    rounded = values.double().numpy().round(DECIMALS)
    return {layer: tuple(of_layer) for layer, of_layer in enumerate(rounded.tolist())}
