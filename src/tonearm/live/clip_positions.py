"""Map from positions of the output to samples of the performance's clip."""

from collections import deque


class ClipPositions:
    """Maps output positions that are not played yet to clip samples.

    In a loop or phrase, several positions map to one sample.
    """

    def __init__(self) -> None:
        self._pieces: deque[tuple[int, int, int]] = deque()  # first position, first sample, length

    def add(self, position: int, sample: int, length: int, played: int) -> None:
        """Add a piece of the output, and release those before a position that was played."""
        self._pieces.append((position, sample, length))
        while self._pieces[0][0] + self._pieces[0][2] < played:
            self._pieces.popleft()

    def clear(self) -> None:
        """Begin with another performance."""
        self._pieces.clear()

    def at(self, position: int, default: int) -> int:
        """The clip sample at a position; that of the first piece before it, `default` without one."""
        if not self._pieces:
            return default
        for first, sample, length in reversed(self._pieces):
            if first <= position:
                return sample + min(position - first, length)
        return self._pieces[0][1]
