"""Training in several CPU processes of one thread each: every one takes its share of a batch, and the gradients are averaged.

Two processes on two cores are faster than two threads in one, whose barriers spin as soon as anything else runs.
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
class Team:
    rank: int = 0
    size: int = 1

    def average_gradients(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for gradient, averaged in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(averaged.view_as(gradient))


def run(train: Callable[..., Any], size: int, *arguments: Any) -> None:
    """train(*arguments, team), in `size` processes."""
    if size == 1:
        train(*arguments, Team())
        return
    with TemporaryDirectory() as folder:
        mp.spawn(_member, (size, str(Path(folder) / "meet"), train, arguments), nprocs=size)


def _member(rank: int, size: int, meet: str, train: Callable[..., Any], arguments: tuple) -> None:
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    dist.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=size)
    try:
        train(*arguments, Team(rank, size))
    finally:
        dist.destroy_process_group()


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, however it went: a team without its starter would train on unseen."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
