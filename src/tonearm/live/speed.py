"""Speed of a model: seconds of music per second of computation, of both streams together."""

import time
from collections.abc import Callable, Iterable

from tonearm.generation.stream import Chunk

LIVE = 1.15  # from this speed on, music is computed while it plays
REWINDING = 1.5  # from this speed on, changes act on the first frame without audio (Stream.rewinds)
TOO_SLOW = 0.95  # below it, a performance that plays live continues in phrases
TRIAL_SECONDS = 2.0  # of music
TRIAL_LIMIT = 4.0  # seconds of computation
WINDOW = 5.0  # seconds of music over which the speed of a performance is averaged


def measure_speed(chunks: Iterable[Chunk], clock: Callable[[], float] = time.perf_counter) -> float:
    """Measure the speed of a stream after its first chunk, which prepares the window.

    Args:
        chunks: of the stream; read up to TRIAL_SECONDS of music, or TRIAL_LIMIT of time.
        clock: seconds.

    Returns:
        Seconds of music per second; 0 for a stream of one chunk.
    """
    begun, music = None, 0.0
    for chunk in chunks:
        now = clock()
        if begun is None:
            begun = now
            continue
        music += chunk.samples.shape[1] / chunk.sample_rate
        if music >= TRIAL_SECONDS or now - begun >= TRIAL_LIMIT:
            break
    passed = 0.0 if begun is None else clock() - begun
    return music / passed if passed > 0 else 0.0


class SpeedMeter:
    """Speed over about the last WINDOW seconds of music."""

    def __init__(self) -> None:
        self._music = self._time = 0.0

    def add(self, music: float, computing: float) -> None:
        """Count `music` seconds of decoded music that took `computing` seconds."""
        kept = max(0.0, 1 - music / WINDOW)
        self._music = kept * self._music + music
        self._time = kept * self._time + computing

    @property
    def speed(self) -> float | None:
        """Seconds of music per second; None before half a window was counted."""
        if self._music < WINDOW / 2 or not self._time:
            return None
        return self._music / self._time
