"""Repetition of a piece of audio without clicks.

    lead-in | piece                        pass 1: piece, its end cross-faded into the lead-in
       ▲                                   pass 2: the same ...
       └─ the samples before the piece     last pass: the piece as it is, so that the music after it follows

Shapes: C channels; n samples of the piece; f of the lead-in.
"""

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]  # steered and plain, float32 [C, m]


def cross_fade(ending: np.ndarray, beginning: np.ndarray) -> np.ndarray:
    """Fade from one piece [C, m] to another of equal length, with equal power."""
    angle = np.linspace(0, np.pi / 2, ending.shape[1], dtype=np.float32)
    return ending * np.cos(angle) + beginning * np.sin(angle)


def without_click(samples: np.ndarray, before: np.ndarray, fade: int) -> np.ndarray:
    """Join samples to those before them: the step between them is spread over `fade` samples.

    Args:
        samples: float32 [C, m].
        before: the sample before them, [C].
        fade: samples over which the step decays to 0.
    """
    joined = samples.copy()
    count = min(fade, samples.shape[1])
    if count:
        step = before[:, None] - samples[:, :1]
        joined[:, :count] += step * np.linspace(1, 0, count, endpoint=False, dtype=np.float32)
    return joined


class LoopPlayer:
    """Plays a piece over and over.

    Args:
        piece: steered and plain samples [C, n].
        lead_in: the samples before the piece [C, f]; shorter or empty where there are none.
    """

    def __init__(self, piece: Pair, lead_in: Pair):
        self.length, self._position = piece[0].shape[1], 0
        fade = min(lead_in[0].shape[1], self.length)
        self._seam = self.length - fade
        self.piece = piece
        steered, plain = (
            cross_fade(one[:, self._seam :], before[:, before.shape[1] - fade :])
            for one, before in zip(piece, lead_in, strict=True)
        )
        self._faded: Pair = (steered, plain)

    @property
    def position(self) -> int:
        """The sample of the piece that comes next; 0 at the seam of two passes."""
        return self._position

    def take(self, count: int, leaving: bool) -> Pair:
        """Return the next samples, never beyond the end of a pass or across the start of its seam.

        Args:
            count: of samples, at most; 1 or more.
            leaving: the music that follows the piece comes after this pass.
        """
        start = self._position
        stop = min(start + count, self._seam if start < self._seam else self.length)
        self._position = stop % self.length
        source = self.piece
        if start >= self._seam and not leaving:
            source, start, stop = self._faded, start - self._seam, stop - self._seam
        steered, plain = (one[:, start:stop] for one in source)
        return steered, plain
