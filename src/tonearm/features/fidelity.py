"""Fidelity of an autoencoder on clips that it was not trained on.

    FVU        sum |x - x^|^2 / sum |x - mean x|^2, unexplained share of the variance
    L0         mean number of active features
    dead       share of features that are active in none of the rows
    recovered  (CE_ablated - CE_reconstructed) / (CE_ablated - CE): share of the cross-entropy that
               the reconstruction keeps; ablated means that every activation is the mean one

FVU weighs every direction by its variance, and the model does not; the cross-entropy is that of
the model which works with the reconstruction. Its divergence from the model's own predictions is
the pass-through control: the damage of replacing activations by reconstructions, before any
steering.

Shapes: m rows; F features; D width.
"""

from collections.abc import Iterable
from functools import partial

import torch

from tonearm.activations.clips import Clips
from tonearm.activations.replacement import predictions_with
from tonearm.backend import Site
from tonearm.features.autoencoder import SparseAutoencoder, decode, encode, reconstruct
from tonearm.features.info import Fidelity
from tonearm.musicgen.engine import Engine

BLOCK_ROWS = 8192


def measure_fidelity(
    engine: Engine,
    autoencoder: SparseAutoencoder,
    clips: Clips,
    rows: torch.Tensor,
    site: Site,
    layer: int,
) -> Fidelity:
    """Measure fidelity.

    Args:
        engine: a DecoderEngine.
        autoencoder: of the activations.
        clips: held out.
        rows: activations of their frames, [m, D].
        site: of the activations.
        layer: likewise.

    Raises:
        TonearmError: another engine.
    """
    mean = rows.double().mean(0)
    unexplained, active, fired = 0.0, 0, torch.zeros(autoencoder.features, dtype=torch.bool)
    for block in rows.split(BLOCK_ROWS):
        z = encode(autoencoder, block)
        unexplained += float((block - decode(autoencoder, z)).double().square().sum())
        active += int((z > 0).sum())
        fired |= (z > 0).any(0)
    variance = sum(float((one.double() - mean).square().sum()) for one in rows.split(BLOCK_ROWS))
    device = engine.checkpoint.device
    there = on_device(autoencoder, device)
    constant = mean.float().to(device)
    found = predictions_with(
        engine,
        clips,
        site,
        layer,
        {
            "kept": None,
            "reconstructed": partial(reconstruct, there),
            "ablated": lambda x: constant.expand_as(x),
        },
    )
    return Fidelity(
        fvu=unexplained / variance if variance else 0.0,
        l0=active / len(rows),
        dead_share=1 - float(fired.float().mean()),
        rows=len(rows),
        clips=len(clips),
        cross_entropy=found["kept"].cross_entropy,
        reconstructed=found["reconstructed"].cross_entropy,
        ablated=found["ablated"].cross_entropy,
        pass_through=found["reconstructed"].divergence,
    )


def on_device(autoencoder: SparseAutoencoder, device: torch.device) -> SparseAutoencoder:
    """The autoencoder with its weights on a device."""
    return SparseAutoencoder(
        autoencoder.encoder.to(device),
        autoencoder.encoder_bias.to(device),
        autoencoder.decoder.to(device),
        autoencoder.decoder_bias.to(device),
        autoencoder.threshold,
    )


def feature_statistics(
    autoencoder: SparseAutoencoder, blocks: Iterable[torch.Tensor], level: float = 0.99
) -> tuple[torch.Tensor, torch.Tensor]:
    """Measure how often and how strongly each feature is active.

    Args:
        autoencoder: of the activations.
        blocks: activations [m, D], block by block.
        level: quantile of the values of an active feature.

    Returns:
        Share of the rows in which each feature is active, and the quantile of its values there (0
        for a feature that is never active), float32 [F] each.
    """
    owners, values, total = list[torch.Tensor](), list[torch.Tensor](), 0
    for block in blocks:
        for part in block.split(BLOCK_ROWS):
            z = encode(autoencoder, part)
            row, feature = z.nonzero(as_tuple=True)
            owners.append(feature.to(torch.int32))
            values.append(z[row, feature])
            total += len(part)
    owner, value = torch.cat(owners), torch.cat(values)
    order = value.argsort(stable=True)
    order = order[owner[order].argsort(stable=True)]  # by feature, then by value
    counts = torch.bincount(owner, minlength=autoencoder.features)
    last = counts.cumsum(0) - 1
    place = last - ((1 - level) * (counts - 1).clamp(min=0)).round().long()
    peaks = torch.zeros(autoencoder.features)
    known = counts > 0
    peaks[known] = value[order][place[known]]
    return counts / max(total, 1), peaks
