"""Rows with known features, and autoencoders for tests."""

import torch

from tonearm.features.autoencoder import SparseAutoencoder, encode
from tonearm.features.batch_top_k import unit_columns
from tonearm.features.info import AutoencoderInfo, Fidelity
from tonearm.features.settings import TrainingSettings
from tonearm.features.trained import TrainedAutoencoder
from tonearm.features.trainer import Trainer

ATOMS, WIDTH, ACTIVE = 64, 32, 3


def atoms(seed: int = 77) -> torch.Tensor:
    """Unit directions [ATOMS, WIDTH], more than the width."""
    return unit_columns(torch.randn(ATOMS, WIDTH, generator=torch.Generator().manual_seed(seed)))


def planted_rows(count: int, seed: int, noise: float = 0.01) -> torch.Tensor:
    """Sums of ACTIVE of the atoms with values of 0.5 to 1.5, and a little noise."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.rand(count, ATOMS, generator=generator).topk(ACTIVE).indices
    values = 0.5 + torch.rand(count, ACTIVE, generator=generator)
    z = torch.zeros(count, ATOMS).scatter(-1, chosen, values)
    return z @ atoms() + noise * torch.randn(count, WIDTH, generator=generator)


def trained_on(settings: TrainingSettings, steps: int | None = None) -> tuple[Trainer, float]:
    """A trainer after some steps on planted rows, by default all, and the scale of the rows."""
    scale = float(planted_rows(4096, seed=1).square().sum(-1).mean().sqrt())
    size = settings.batch_rows
    trainer = Trainer(settings, planted_rows(size, seed=2) / scale)
    for step in range(settings.steps if steps is None else steps):
        trainer.step(planted_rows(size, seed=3 + step) / scale)
    return trainer, scale


def recovered(autoencoder: SparseAutoencoder) -> float:
    """Share of the atoms that a feature has a cosine above 0.9 with."""
    return float(((atoms() @ autoencoder.decoder.T).amax(1) > 0.9).float().mean())


def autoencoder_of(shape, layer: int = 1, features: int = 48, seed: int = 0, length: float = 1.0):
    """A random autoencoder for a checkpoint, whose features are active now and then.

    Args:
        shape: of the checkpoint.
        layer: of the activations.
        features: their number.
        seed: of the weights.
        length: usual length of the activations.
    """
    generator = torch.Generator().manual_seed(seed)
    columns = unit_columns(torch.randn(features, shape.width, generator=generator))
    weights = SparseAutoencoder(
        columns.clone(),
        torch.zeros(features),
        columns,
        0.1 * length * torch.randn(shape.width, generator=generator),
        0.2 * length,
    )
    rows = length * unit_columns(torch.randn(512, shape.width, generator=generator))
    z = encode(weights, rows)
    fidelity = Fidelity(
        fvu=0.5, l0=3.0, dead_share=0.0, rows=512, clips=2, cross_entropy=4.0, reconstructed=5.0,
        ablated=8.0, pass_through=0.5,
    )  # fmt: skip
    info = AutoencoderInfo(
        checkpoint=shape.public_name,
        fingerprint=shape.fingerprint,
        precision="float32",
        layer_count=shape.layer_count,
        width=shape.width,
        site="residual",
        layer=layer,
        features=features,
        threshold=weights.threshold,
        scale=length,
        mean_norm=length,
        settings=TrainingSettings(k=4, rows=4096),
        source="prompts",
        clips=4,
        tracks=4,
        validation_tracks=1,
        data_hash="0",
        fidelity=fidelity,
    )
    return TrainedAutoencoder(weights, (z > 0).float().mean(0), z.amax(0), info)
