"""Interrupted training runs, and the comparison of training states."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from recipes.training import save_training_state


class Interrupted(Exception):
    """Raised in place of the rest of a run."""


def train_with_interruption(module: ModuleType, step: int, train: Callable[[], object]) -> None:
    """Train until the state of `step` is saved, stop there, and start `train` again.

    Args:
        module: recipe module that imports `save_training_state`.
        step: number of completed steps at the interruption.
        train: trains to the end; its second call has to resume.
    """

    def save_and_stop(checkpoint: Path, model, optimizer, at: int) -> None:
        save_training_state(checkpoint, model, optimizer, at)
        if at == step:
            raise Interrupted

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(module, "save_training_state", save_and_stop)
        train()
    train()


def assert_equal_states(checkpoint: Path, other: Path, steps: int) -> None:
    """Compare weights, optimiser state and step of two training states bit by bit.

    Args:
        checkpoint: file of one state.
        other: file of the other state.
        steps: number of completed steps that both must have.
    """
    states = [torch.load(path, weights_only=True) for path in (checkpoint, other)]
    assert states[0]["step"] == states[1]["step"] == steps
    assert differences(states[0], states[1]) == []


def differences(one: object, other: object, path: str = "") -> list[str]:
    """Return the paths at which two nested states differ."""
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return [] if torch.equal(one, other) else [path]
    if isinstance(one, dict) and isinstance(other, dict):
        keys = {*one, *other}
        return [
            found
            for key in sorted(keys, key=str)
            for found in differences(one.get(key), other.get(key), f"{path}/{key}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for i, (a, b) in pairs for found in differences(a, b, f"{path}/{i}")]
    return [] if one == other else [path]
