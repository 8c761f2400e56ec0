"""Shared parts of the training loops: weight decay groups, progress, resuming and saving."""

import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from tonearm.files.atomic import atomic_write


def weight_decay_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict]:
    """Return parameter groups for AdamW: matrices decay, biases and gains do not."""
    parameters = list(parameters)
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


class TrainingProgress:
    """Moving mean of the loss (of any shape), and seconds per step of this process."""

    def __init__(self) -> None:
        self.loss: torch.Tensor | None = None
        self._steps, self._began = 0, time.monotonic()

    def step(self, loss: torch.Tensor) -> None:
        self._steps += 1
        loss = loss.detach()
        self.loss = loss if self.loss is None else self.loss.lerp(loss, 0.02)

    @property
    def pace(self) -> str:
        return f"{(time.monotonic() - self._began) / max(1, self._steps):.2f} s a step"


def resume(
    checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer, device: str = "cpu"
) -> int:
    """Load the state that `save_training_state` wrote, if there is one.

    Args:
        checkpoint: file of the training state; it may be absent.
        model: receives the weights, strictly.
        optimizer: receives its own state, the moments of Adam included.
        device: where the tensors are loaded.

    Returns:
        The next step to train; 0 where there is no checkpoint.
    """
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, map_location=device, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def completed_steps(checkpoint: Path) -> int:
    """Return the number of steps of the saved run; 0 where there is none."""
    return (
        torch.load(checkpoint, mmap=True, weights_only=True)["step"] if checkpoint.exists() else 0
    )


def save_training_state(
    checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    """Save model, optimiser and the next step, atomically."""
    with atomic_write(checkpoint) as temporary:
        torch.save(
            {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step},
            temporary,
        )


def save_pretrained_atomic(model: PreTrainedModel, folder: Path) -> None:
    """Save in transformers' format under a temporary name, then rename."""
    temporary = folder.with_suffix(".part")
    model.save_pretrained(temporary)
    temporary.rename(folder)
