"""Threads: those of torch's operators on the CPU, and the priorities of live music."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch

BACKGROUND = 10  # niceness of threads that can wait
SWITCH_INTERVAL = 0.001  # seconds after which a thread of Python lets another one run


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Compute with a number of threads, then with as many as before.

    More than the machine has cores, or 0, changes nothing.
    """
    before = torch.get_num_threads()
    is_possible = 0 < count <= (os.cpu_count() or 1)
    torch.set_num_threads(count if is_possible else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def yield_to_music() -> None:
    """Give the calling thread a lower priority than the one that computes music, where the system
    can (Linux: niceness is that of a thread).
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND)


def live_threads() -> int:
    """Threads that decode while music plays: all but one of the cores, and no more than torch uses.

    The last core is left to the output, the measurements and the page. With as many threads as
    cores, every operator waits for the thread whose core something else uses: on two cores with
    other work, pieces took up to 20 times as long as with one thread.
    """
    return max(1, min(torch.get_num_threads(), (os.cpu_count() or 1) - 1))
