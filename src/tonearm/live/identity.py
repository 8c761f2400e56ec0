"""Running comparison of the steered with the plain audio of a performance."""

import hashlib

import numpy as np

from tonearm.live.state import Identity

DIGITS = 16


class IdentityMeter:
    """Compares and hashes both streams, block by block, sample by sample.

    Args:
        sample_rate: in Hz.
    """

    def __init__(self, sample_rate: int):
        self._rate, self._count = sample_rate, 0
        self._differs_at: int | None = None
        self._steered, self._plain = hashlib.sha256(), hashlib.sha256()

    def add(self, steered: np.ndarray, plain: np.ndarray) -> None:
        """Count the next block of both streams, float32 [C, m]."""
        if self._differs_at is None:
            unequal = (steered != plain).any(axis=0)
            if unequal.any():
                self._differs_at = self._count + int(unequal.argmax())
        self._steered.update(steered.T.tobytes())
        self._plain.update(plain.T.tobytes())
        self._count += steered.shape[1]

    @property
    def identity(self) -> Identity:
        """The result so far."""
        differs_at = None if self._differs_at is None else self._differs_at / self._rate
        return Identity(
            identical=differs_at is None,
            seconds=round(self._count / self._rate, 3),
            differs_at=None if differs_at is None else round(differs_at, 3),
            steered=self._steered.hexdigest()[:DIGITS],
            plain=self._plain.hexdigest()[:DIGITS],
        )
