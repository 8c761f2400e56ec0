"""What every training loop of the recipes does alike: which weights decay, how it is going, taking a run up again, and putting its result in place."""

import time
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel

from tonearm.atomic import atomic_write


def decaying(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict]:
    """Groups for AdamW: matrices decay, biases and gains do not."""
    parameters = list(parameters)
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


class Progress:
    """How a run is going, since it was begun or taken up: `loss` is a moving mean, of as many numbers as the loss has."""

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


def take_up(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer, device: str = "cpu") -> int:
    """Load what `keep` saved, if it did; returns the step to go on with."""
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, map_location=device, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def steps_taken(checkpoint: Path) -> int:
    """Of the run that `keep` saved there; 0 where it saved none."""
    return torch.load(checkpoint, mmap=True, weights_only=True)["step"] if checkpoint.exists() else 0


def keep(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Save a run before its `step`; whole, or not at all."""
    with atomic_write(checkpoint) as aside:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, aside)


def save_whole(model: PreTrainedModel, folder: Path) -> None:
    """In transformers' form; whole, or not there."""
    aside = folder.with_suffix(".part")
    model.save_pretrained(aside)
    aside.rename(folder)
