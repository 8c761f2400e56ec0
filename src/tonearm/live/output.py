"""Output of a session: its positions, the newest audio, and joins without clicks."""

from collections.abc import Callable

import numpy as np

from tonearm.live.events import AudioBlock
from tonearm.live.looping import LoopPlayer, Pair, without_click
from tonearm.live.recent import RecentAudio

FADE = 0.005  # seconds of a fade at a seam


class SessionOutput:
    """Emits blocks one after the other.

    Args:
        sample_rate: in Hz.
        recent: keeps the newest blocks.
        publish: called with every block.
    """

    def __init__(
        self, sample_rate: int, recent: RecentAudio, publish: Callable[[AudioBlock], None]
    ):
        self.run = 0  # number of the run; a run begins with every start of sound
        self.position = 0  # of the next sample
        self.head = 0  # the furthest position that a client has played
        self.begun = 0  # position at which the run began
        self._rate, self._recent, self._publish = sample_rate, recent, publish
        self._fade = round(FADE * sample_rate)
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def begin_run(self) -> None:
        """Begin to sound again, with nothing before."""
        self.run += 1
        self.head = self.begun = self.position
        self._recent.clear()
        self._before = None

    def played(self, sample: int) -> None:
        """Count a play head; one beyond the newest sample counts as that."""
        self.head = max(self.head, min(sample, self.position))

    def room(self, lead: float) -> int:
        """Samples that may be emitted to be `lead` seconds ahead of the play head."""
        return self.head + round(lead * self._rate) - self.position

    def rejoin(self) -> None:
        """Join the next block to the newest sample without a click."""
        steered, plain, _ = self._recent.last(1)
        self._before = (steered[:, -1], plain[:, -1]) if steered.shape[1] else None

    def emit(self, piece: Pair) -> None:
        """Publish the next block."""
        steered, plain = piece
        if self._before is not None:
            steered, plain = (
                without_click(one, before, self._fade)
                for one, before in zip(piece, self._before, strict=True)
            )
            self._before = None
        block = AudioBlock(self.run, self.position, steered, plain)
        self.position = block.stop
        self._recent.append(block)
        self._publish(block)

    def newest(self, seconds: float | None = None) -> Pair:
        """The newest seconds of both streams, or fewer; None for all that is kept."""
        count = self.position if seconds is None else round(seconds * self._rate)
        steered, plain, _ = self._recent.last(count)
        return steered, plain

    def loop_of(self, music: Pair, seconds: float) -> LoopPlayer:
        """A loop of the end of the music; it is shorter where the music is."""
        ends = [one[:, -round(seconds * self._rate) - self._fade :] for one in music]
        steered, plain = ((one[:, self._fade :], one[:, : self._fade]) for one in ends)
        return LoopPlayer((steered[0], plain[0]), (steered[1], plain[1]))

    def loopable(self, music: Pair) -> float:
        """Seconds of the longest loop of the music, which needs some samples before its first."""
        return max(0, music[0].shape[1] - self._fade) / self._rate

    def loop_after(self, piece: Pair, has_before: bool) -> LoopPlayer:
        """A loop of a piece that follows the newest samples, where there are any."""
        before = self.newest(FADE) if has_before else (piece[0][:, :0], piece[1][:, :0])
        return LoopPlayer(piece, before)
