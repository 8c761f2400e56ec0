"""Training of one sparse autoencoder, step by step, with a state that can be stored.

The rows of a step are normalised: their mean squared length is 1. `Trainer.autoencoder` returns the
autoencoder of normalised rows; `SparseAutoencoder.scaled` turns it into that of the activations.

Shapes: B rows of a step; F features; D width.
"""

from dataclasses import dataclass

import torch

from tonearm.features.autoencoder import SparseAutoencoder
from tonearm.features.batch_top_k import (
    auxiliary_loss,
    batch_top_k,
    geometric_median,
    nested_losses,
    unit_columns,
    without_parallel_part,
)
from tonearm.features.settings import AUXILIARY_WEIGHT, GRADIENT_NORM, TrainingSettings

NAMES = ("encoder", "encoder_bias", "decoder", "decoder_bias")
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # of Adam


@dataclass(frozen=True)
class StepLoss:
    """Losses of a step, relative to rows of mean squared length 1; `dead` counts dead features."""

    reconstruction: float
    auxiliary: float
    dead: int


class Trainer:
    """State of a training.

    Args:
        settings: of the run.
        first: normalised rows of the first step, [B, D], on the device of the training; their
            geometric median becomes b_dec.
    """

    def __init__(self, settings: TrainingSettings, first: torch.Tensor):
        self.settings = settings
        self.features = settings.features(first.shape[1])
        self.prefixes = settings.prefix_sizes(self.features)
        generator = torch.Generator().manual_seed(settings.seed)
        columns = unit_columns(torch.randn(self.features, first.shape[1], generator=generator))
        weights = {
            "encoder": columns.clone(),
            "encoder_bias": torch.zeros(self.features),
            "decoder": columns,
            "decoder_bias": geometric_median(first.cpu()),
        }
        self.weights = {
            name: weight.to(first.device).requires_grad_() for name, weight in weights.items()
        }
        self.optimizer = torch.optim.Adam(list(self.weights.values()), betas=(0.9, 0.999))
        self.steps = 0
        self.threshold_sum = self.threshold_weight = torch.zeros((), device=first.device)
        self.rows_since_active = torch.zeros(self.features, dtype=torch.int64, device=first.device)

    def step(self, x: torch.Tensor) -> StepLoss:
        """Train on normalised rows [B, D]."""
        encoder, encoder_bias, decoder, decoder_bias = (self.weights[name] for name in NAMES)
        values = torch.relu((x - decoder_bias) @ encoder.T + encoder_bias)
        z, smallest = batch_top_k(values, self.settings.k)
        loss, error = nested_losses(x, z, decoder, decoder_bias, self.prefixes)
        dead = self.rows_since_active >= self.settings.dead_after
        auxiliary = auxiliary_loss(error.detach(), values, decoder, dead)
        self.optimizer.zero_grad()
        (loss + AUXILIARY_WEIGHT * auxiliary).backward()
        self._update(self.settings.learning_rate(self.features, self.steps))
        self.rows_since_active += len(x)
        self.rows_since_active[(z.detach() > 0).any(0)] = 0
        decay = self.settings.threshold_decay
        self.threshold_sum = decay * self.threshold_sum + (1 - decay) * smallest
        self.threshold_weight = decay * self.threshold_weight + (1 - decay)
        self.steps += 1
        return StepLoss(float(loss.detach()), float(auxiliary.detach()), int(dead.sum()))

    def autoencoder(self) -> SparseAutoencoder:
        """Return the autoencoder of normalised rows, on the CPU. At least one step was done."""
        weights = {name: self.weights[name].detach().cpu().clone() for name in NAMES}
        return SparseAutoencoder(
            **weights, threshold=float(self.threshold_sum / self.threshold_weight)
        )

    def state(self) -> dict[str, torch.Tensor]:
        """Copy the state between two steps to the CPU, by name."""
        found = {name: weight.detach() for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            for moment, value in self.optimizer.state[weight].items():
                found[f"{name}.{moment}"] = value
        found |= {
            "steps": torch.tensor(self.steps),
            "threshold_sum": self.threshold_sum,
            "threshold_weight": self.threshold_weight,
            "rows_since_active": self.rows_since_active,
        }
        return {name: value.cpu().clone() for name, value in found.items()}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Continue from a state. Raises KeyError or RuntimeError for one of another run."""
        for name, weight in self.weights.items():
            weight.data.copy_(state[name])
            moments = {moment: state[f"{name}.{moment}"].clone() for moment in MOMENTS}
            self.optimizer.state[weight] = {
                # Adam counts its steps on the CPU.
                moment: value if moment == "step" else value.to(weight.device)
                for moment, value in moments.items()
            }
        self.steps = int(state["steps"])
        device = self.weights["decoder"].device
        self.threshold_sum = state["threshold_sum"].to(device, copy=True)
        self.threshold_weight = state["threshold_weight"].to(device, copy=True)
        self.rows_since_active = state["rows_since_active"].to(device, copy=True)

    def _update(self, rate: float) -> None:
        """One step of Adam that keeps the columns of W_dec at unit length."""
        decoder = self.weights["decoder"]
        assert decoder.grad is not None
        decoder.grad = without_parallel_part(decoder.grad, decoder.detach())
        torch.nn.utils.clip_grad_norm_(list(self.weights.values()), GRADIENT_NORM)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        decoder.data = unit_columns(decoder.data)
