"""State of a training on disk: one safetensors file, replaced whole after every chunk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import safetensors
import safetensors.torch
import torch
from pydantic import ConfigDict, Field

from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.features.settings import TrainingSettings
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import parse_json
from tonearm.loading import loading_errors
from tonearm.schema import Declared, validated

FILE = "training.safetensors"
AGAIN = "delete it, and the training starts anew"


class Run(Declared):
    """Identity of a training: runs that differ in one of these do not continue each other."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[2] = 2  # 1: chunks had other sizes
    fingerprint: str
    precision: str
    site: Site
    layers: tuple[int, ...]
    settings: TrainingSettings
    data_hash: str


class _Header(Declared):
    """Header of the file: the run, and the first chunk that is not trained on yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: Run
    chunk: int = Field(ge=0)


def write_state(
    folder: Path, run: Run, chunk: int, states: Mapping[int, Mapping[str, torch.Tensor]]
) -> None:
    """Write the state of all layers.

    Args:
        folder: of the training.
        run: its identity.
        chunk: first chunk that is not trained on yet.
        states: tensors by layer and name.
    """
    tensors = {
        f"{layer}.{name}": tensor.contiguous()
        for layer, state in states.items()
        for name, tensor in state.items()
    }
    header = {"training": _Header(run=run, chunk=chunk).model_dump_json()}
    content = safetensors.torch.save(tensors, header)
    with atomic_write(folder / FILE) as temporary:
        temporary.write_bytes(content)


def read_state(folder: Path, run: Run) -> tuple[int, dict[int, dict[str, torch.Tensor]]] | None:
    """Read the state of a training.

    Returns:
        The first chunk that is not trained on yet, and tensors by layer and name; None where no
        training was begun.

    Raises:
        TonearmError: the file is damaged, or of another run.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    with loading_errors(str(path), AGAIN), safetensors.safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get("training", "")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    header: _Header = validated(_Header, parse_json(text, str(path), AGAIN), where=str(path))
    for key in Run.model_fields:
        if getattr(header.run, key) != getattr(run, key):
            raise TonearmError(
                f"{folder} holds an unfinished training with other {key}; choose another folder, "
                f"or delete {FILE} in it"
            )
    states: dict[int, dict[str, torch.Tensor]] = {layer: {} for layer in run.layers}
    for key, tensor in tensors.items():
        layer, _, name = key.partition(".")
        states.setdefault(int(layer) if layer.isdigit() else -1, {})[name] = tensor
    if set(states) != set(run.layers):
        raise TonearmError(f"{path} is damaged: it holds other layers; {AGAIN}")
    return header.chunk, states


def remove_state(folder: Path) -> None:
    """Remove the state of a training whose autoencoders are saved."""
    (folder / FILE).unlink(missing_ok=True)
