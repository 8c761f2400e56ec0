"""Sparse autoencoder: an activation as a sum of few directions, its features.

    a(x) = relu(W_enc (x - b_dec) + b_enc)          values of all features
    z(x) = a(x) where a(x) > threshold, else 0      active features
    x^   = W_dec z + b_dec                          reconstruction

The columns of W_dec, one per feature, have unit length, so that z_f is the length of feature f's
part of the reconstruction. The threshold is fixed: whether a feature is active depends on its own
activation alone, never on other rows of a batch.

Shapes: F features; D width; [.., D] activations, [.., F] values of features.

Source: Bricken et al. 2023; BatchTopK with a threshold at inference, Bussmann et al. 2024.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class SparseAutoencoder:
    """Weights of a sparse autoencoder, float32.

    encoder       rows of W_enc, [F, D]
    encoder_bias  b_enc, [F]
    decoder       columns of W_dec, [F, D], each of unit length
    decoder_bias  b_dec, [D]
    threshold     value above which a feature is active
    """

    encoder: torch.Tensor
    encoder_bias: torch.Tensor
    decoder: torch.Tensor
    decoder_bias: torch.Tensor
    threshold: float

    @property
    def features(self) -> int:
        """Number of features F."""
        return len(self.encoder)

    @property
    def width(self) -> int:
        """Width D of the activations."""
        return self.encoder.shape[1]

    def scaled(self, scale: float) -> "SparseAutoencoder":
        """Return the autoencoder of activations that are `scale` times those of this one.

        Its values, reconstructions and threshold are `scale` times as large.
        """
        return SparseAutoencoder(
            self.encoder,
            scale * self.encoder_bias,
            self.decoder,
            scale * self.decoder_bias,
            scale * self.threshold,
        )


def feature_values(autoencoder: SparseAutoencoder, x: torch.Tensor) -> torch.Tensor:
    """Values a(x) of all features, without selection, [.., F]."""
    centred = x - autoencoder.decoder_bias
    return torch.relu(centred @ autoencoder.encoder.T + autoencoder.encoder_bias)


def encode(autoencoder: SparseAutoencoder, x: torch.Tensor) -> torch.Tensor:
    """Values z(x) of the active features, 0 for the others, [.., F]."""
    values = feature_values(autoencoder, x)
    return torch.where(values > autoencoder.threshold, values, 0)


def decode(autoencoder: SparseAutoencoder, z: torch.Tensor) -> torch.Tensor:
    """Reconstruction of values z [.., F], [.., D]."""
    return z @ autoencoder.decoder + autoencoder.decoder_bias


def edit(
    autoencoder: SparseAutoencoder, x: torch.Tensor, factors: Mapping[int, float]
) -> torch.Tensor:
    """Scale the values of some features, and keep the error of the reconstruction.

        x + W_dec (z' - z),     z'_f = factors[f] z_f

    Args:
        autoencoder: of the activations.
        x: activations [.., D].
        factors: by feature; 1 keeps a value, 0 silences it.
    """
    z = encode(autoencoder, x)
    edited = z.clone()
    for feature, factor in factors.items():
        edited[..., feature] *= factor
    return x + (edited - z) @ autoencoder.decoder


def reconstruct(autoencoder: SparseAutoencoder, x: torch.Tensor) -> torch.Tensor:
    """Reconstruction of activations x [.., D]."""
    return decode(autoencoder, encode(autoencoder, x))
