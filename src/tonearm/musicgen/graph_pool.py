"""Captured graphs of a decoder, kept for the next decoding of the same key.

Graphs are taken out of the pool while a decoding uses them, so that no two decodings share them.
Their tensors hold a whole cache, so the memory of the pool is bounded:

    KEPT_SHARE   after a decoding: as much as a batch takes where no limit is given
    SPARE_SHARE  when a decoding begins that replays none of them. The memory that it needs was
                 estimated before, when less may have been kept, at 1.3 times its true peak or more
                 (memory_estimate.py): the share is within that margin.

Both are shares of the memory that is free or kept.
"""

from threading import RLock

import torch

from tonearm.musicgen.cuda_graphs import GraphKey, StepGraphs
from tonearm.musicgen.memory_estimate import FREE_SHARE, free_bytes

MAX_KEPT = 4
KEPT_SHARE = FREE_SHARE
SPARE_SHARE = 1 / 8


class GraphPool:
    """Graphs that no decoding uses. All methods may be called from any thread.

    Args:
        device: of the graphs.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self._kept: list[StepGraphs] = []  # the most recently used last
        # A garbage collection in a thread that holds the lock may put back an abandoned decoding's.
        self._lock = RLock()

    @property
    def nbytes(self) -> int:
        """Bytes that the pool holds."""
        with self._lock:
            return sum(graphs.nbytes for graphs in self._kept)

    def take(self, key: GraphKey) -> StepGraphs | None:
        """Take graphs of a key out of the pool. If there are none, make room for new ones."""
        with self._lock:
            for graphs in reversed(self._kept):
                if graphs.key == key:
                    self._kept.remove(graphs)
                    return graphs
            self.make_room()
        return None

    def make_room(self) -> None:
        """Free memory for a decoding that replays none of the graphs."""
        with self._lock:
            self._shrink(SPARE_SHARE)

    def put(self, graphs: StepGraphs) -> None:
        """Keep the graphs of a decoding that has ended, once the device has finished its work."""
        if not graphs.steps:
            return
        if self.device.type == "cuda":  # the next decoding may use another stream
            torch.cuda.current_stream(self.device).synchronize()
        with self._lock:
            self._kept.append(graphs)
            self._shrink(KEPT_SHARE)

    def release(self) -> bool:
        """Free all memory of the pool; return whether there was any."""
        with self._lock:
            had = bool(self._kept)
            self._kept.clear()
        return had

    def _shrink(self, share: float) -> None:
        """Keep the most recently used graphs, up to MAX_KEPT and to a share of the memory."""
        if not self._kept:
            return
        limit = share * (free_bytes(self.device) + self.nbytes)
        kept: list[StepGraphs] = []
        for graphs in reversed(self._kept):
            if len(kept) < MAX_KEPT and sum(one.nbytes for one in [*kept, graphs]) <= limit:
                kept.insert(0, graphs)
        self._kept = kept
