"""Data-parallel training in CPU processes of one thread each.

Every process has its share of a batch, gradients are averaged.

Two processes on two cores are faster than two threads in one process, whose barriers spin when
other work runs.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


@dataclass(frozen=True)
class Replica:
    """One of `size` processes that train the same model."""

    rank: int = 0
    size: int = 1

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Average the gradients over all replicas, in place."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, averaged in zip(
            gradients, flat.split([g.numel() for g in gradients]), strict=True
        ):
            gradient.copy_(averaged.view_as(gradient))


def run(train: Callable[..., Any], size: int, *arguments: Any) -> None:
    """Run train(*arguments, replica) in every process.

    Args:
        train: importable function; its last argument is the Replica.
        size: number of processes; with 1 it runs in this one.
        arguments: picklable arguments of `train`.
    """
    if size == 1:
        train(*arguments, Replica())
        return
    with TemporaryDirectory() as folder:
        mp.spawn(
            _run_replica, (size, str(Path(folder) / "rendezvous"), train, arguments), nprocs=size
        )


def _run_replica(
    rank: int, size: int, rendezvous: str, train: Callable[..., Any], arguments: tuple
) -> None:
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=size)
    try:
        train(*arguments, Replica(rank, size))
    finally:
        dist.destroy_process_group()


def _exit_with_parent(parent: int) -> None:
    """Exit when the parent process has ended for any reason.

    Orphaned replicas would continue training.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
