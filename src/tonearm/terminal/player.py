"""Player of both streams of a session, from which an output reads.

Conventions: positions are those of the session. Sound begins when enough is buffered, and fades in;
it fades out before the buffer is empty (an underrun) and when it is stopped.

Shapes: C channels; m samples.
"""

from collections import deque
from threading import Lock

import numpy as np

from tonearm.live.events import AudioBlock

PRIME_SECONDS = 0.2  # buffered before sound begins, at most
PRIME_OF_LEAD = 2 / 3
FADE_SECONDS = 0.004
GAIN_SECONDS = 0.2  # of a change of the plain stream's gain by 1
FULL_SCALE = 0.98  # that a gain of the plain stream may reach
PEAK_KEPT = 0.995  # of the peak, from block to block


class Player:
    """Buffers blocks, and gives the samples of the stream that is listened to.

    `write` and the settings are called by the session's threads and by the client, `read` by the
    thread of the output.

    Args:
        sample_rate: in Hz.
        channels: C.
        lead: of the session, in seconds.
    """

    def __init__(self, sample_rate: int, channels: int, lead: float):
        self.sample_rate, self.channels = sample_rate, channels
        self.position = 0  # of the next sample that is read
        self.underruns = 0
        self._end = self._run = 0
        self._fade = round(FADE_SECONDS * sample_rate)
        self._blocks: deque[AudioBlock] = deque()
        self._skip = 0  # samples of the first block that were read
        self._sounding = self._stopping = False
        self._prime = 0
        self._plain, self._wants_plain = 0.0, False  # share of the plain stream, 0 to 1
        self._gain = self._wanted_gain = 1.0
        self._peak = 0.0  # of the plain stream, slowly forgotten
        self._lock = Lock()
        self.set_lead(lead)

    def set_lead(self, lead: float) -> None:
        """Set the lead of the session, in seconds; it limits how much can be buffered."""
        self._prime = round(min(PRIME_SECONDS, PRIME_OF_LEAD * lead) * self.sample_rate)

    def listen(self, plain: bool) -> None:
        """Play the plain stream, or the steered one."""
        self._wants_plain = plain

    def match(self, decibels: float) -> None:
        """Set the gain of the plain stream; it is limited where it would clip."""
        self._wanted_gain = 10 ** (decibels / 20)

    def stop(self) -> None:
        """Fade out, and release everything that is buffered."""
        with self._lock:
            self._stopping = True

    @property
    def buffered(self) -> float:
        """Seconds."""
        return (self._end - self.position) / self.sample_rate

    def write(self, block: AudioBlock) -> None:
        """Buffer a block; one of a new run, or after a gap, begins anew."""
        with self._lock:
            is_known = block.run == self._run and block.stop <= self._end
            if block.run < self._run or is_known:
                return
            if block.run != self._run or block.first != self._end:
                self._run, self._end = block.run, block.first
                self._release()
            self._stopping = False
            self._blocks.append(block)
            self._end = block.stop
            self._peak = max(self._peak * PEAK_KEPT, float(np.abs(block.plain).max(initial=0)))

    def read(self, count: int) -> np.ndarray:
        """Return the next samples, float32 [C, count]; zeros where nothing sounds."""
        with self._lock:
            out = np.zeros((self.channels, count), np.float32)
            buffered = self._end - self.position
            begins = not self._sounding
            if begins and (self._stopping or buffered < max(self._prime, count + self._fade)):
                if self._stopping:
                    self._release()
                return out
            self._sounding = not self._stopping and buffered >= count + self._fade
            used = min(count, buffered, self._fade if self._stopping else count)
            sound = self._mixed(*self._pull(used))
            ramp = np.linspace(0, 1, min(self._fade, used), dtype=np.float32)
            if begins:
                sound[:, : len(ramp)] *= ramp
            if not self._sounding:
                sound[:, used - len(ramp) :] *= ramp[::-1]
                if self._stopping:
                    self._release()
                else:
                    self.underruns += 1
            out[:, :used] = sound
            return out

    def _release(self) -> None:
        self._blocks.clear()
        self._skip, self._sounding, self.position = 0, False, self._end

    def _pull(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Both streams of the next samples, float32 [C, count]; as many are buffered."""
        pieces: list[tuple[np.ndarray, np.ndarray]] = []
        left = count
        while left:
            block, first = self._blocks[0], self._skip
            stop = min(first + left, block.steered.shape[1])
            pieces.append((block.steered[:, first:stop], block.plain[:, first:stop]))
            left -= stop - first
            self._skip = stop
            if stop == block.steered.shape[1]:
                self._blocks.popleft()
                self._skip = 0
        self.position += count
        if not pieces:
            nothing = np.zeros((self.channels, 0), np.float32)
            return nothing, nothing
        steered, plain = (np.concatenate(one, axis=1) for one in zip(*pieces, strict=True))
        return steered, plain

    def _mixed(self, steered: np.ndarray, plain: np.ndarray) -> np.ndarray:
        """Cross-fade between the streams [C, m] as was chosen."""
        count = steered.shape[1]
        share = _ramp(self._plain, float(self._wants_plain), 1 / self._fade, count)
        wanted = min(self._wanted_gain, FULL_SCALE / self._peak if self._peak else 1.0)
        gain = _ramp(self._gain, wanted, 1 / (GAIN_SECONDS * self.sample_rate), count)
        if count:
            self._plain, self._gain = float(share[-1]), float(gain[-1])
        return ((1 - share) * steered + share * gain * plain).astype(np.float32)


def _ramp(value: float, target: float, step: float, count: int) -> np.ndarray:
    """Values [count] that move from `value` to `target` by equal steps."""
    moved = step * np.arange(1, count + 1)
    return (
        np.minimum(value + moved, target) if target >= value else np.maximum(value - moved, target)
    )
