"""The newest seconds of a session's output, for loops, meters and clients that connect again."""

from collections import deque
from threading import Lock

import numpy as np

from tonearm.live.events import AudioBlock


class RecentAudio:
    """Blocks of one run, the oldest of which are released. Its methods may be called from any thread.

    Args:
        capacity: samples that are kept at least, as far as there were any.
    """

    def __init__(self, capacity: int):
        self._capacity = capacity
        self._blocks: deque[AudioBlock] = deque()
        self._lock = Lock()

    def append(self, block: AudioBlock) -> None:
        """Add the next block; one of another run replaces all earlier ones."""
        with self._lock:
            if self._blocks and self._blocks[-1].run != block.run:
                self._blocks.clear()
            self._blocks.append(block)
            while block.stop - self._blocks[0].stop >= self._capacity:
                self._blocks.popleft()

    def clear(self) -> None:
        """Release everything."""
        with self._lock:
            self._blocks.clear()

    def after(self, sample: int) -> list[AudioBlock]:
        """The blocks that end after a position."""
        with self._lock:
            return [block for block in self._blocks if block.stop > sample]

    def last(self, count: int) -> tuple[np.ndarray, np.ndarray, int]:
        """The last samples of both streams.

        Args:
            count: of samples, at most.

        Returns:
            steered and plain float32 [C, n] with n <= count, and the position of their end; n is 0
            where there is no audio.
        """
        with self._lock:
            blocks = list(self._blocks)
        if not blocks:
            return np.zeros((1, 0), np.float32), np.zeros((1, 0), np.float32), 0
        first = max(blocks[0].first, blocks[-1].stop - count)
        kept = [block for block in blocks if block.stop > first]
        skip = max(0, first - kept[0].first)
        steered, plain = (
            np.concatenate([getattr(block, name) for block in kept], axis=1)[:, skip:]
            for name in ("steered", "plain")
        )
        return steered, plain, blocks[-1].stop
