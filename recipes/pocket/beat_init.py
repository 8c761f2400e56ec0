"""Layout of the residual stream at the start of training, and beat counters in the first layer.

MusicGen adds sinusoids of fixed frequencies to its stream. No beat has one of these frequencies,
but products of two sinusoids contain their sum and difference.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from tonearm.datasets.rendering.compose import BEAT_LENGTHS, PROGRESSION_BEATS

CHROMA_FRAMES = 3.2  # codec frames per frame of chroma: 4,096 samples at 32 kHz
COUNTED_BEATS = (1, PROGRESSION_BEATS)
COUNTING_FREQUENCIES = 32  # whose sines and cosines are reserved for lookback and counters
# into and out of the units; small inputs, where a pair of GELUs approximates a square
COUNTING_GAIN, COUNTING_OUT = (1.0, 1.5)


@dataclass(frozen=True)
class Coordinates:
    """Initial use of the stream's coordinates (width 2 * `half`).

    The first half has cosines of positions, the second half sines.
    """

    half: int
    lookback: torch.Tensor  # cosines for queries and keys
    melody_lookup: torch.Tensor  # the same, on the grid of the melody
    protected: torch.Tensor  # cosines of all reserved frequencies
    counters: torch.Tensor  # slow cosines, nearly constant over a clip; the counters overwrite them
    constant: int  # the slowest cosine, about 1 at all positions in use

    @property
    def reserved(self) -> torch.Tensor:
        """Coordinates that codes, chroma and text do not write to."""
        cosines = torch.cat([self.protected, self.counters])
        return torch.cat([cosines, self.half + cosines, torch.tensor([self.constant])])

    @property
    def free(self) -> torch.Tensor:
        """Coordinates that codes, chroma and text may write to."""
        is_free = torch.ones(2 * self.half, dtype=torch.bool)
        is_free[self.reserved] = False
        return is_free.nonzero().flatten()


def counted_frequencies() -> np.ndarray:
    """Return frequencies in radians per frame: each tempo's beat, then each tempo's progression."""
    return np.array([2 * np.pi / (beats * n) for beats in COUNTED_BEATS for n in BEAT_LENGTHS])


def coordinates(width: int, heads: int) -> Coordinates:
    """Return the layout for a decoder of this width."""
    half, pairs = width // 2, width // heads // 2
    lookback = torch.arange(pairs) * (half // 32)
    melody_lookup = lookback + round(math.log(CHROMA_FRAMES) / (math.log(10_000) / (half - 1)))
    slow = int(melody_lookup.max()) + 1
    kept = set(lookback.tolist()) | set(melody_lookup.tolist())
    # add the frequency that reduces the error of the counted ones most
    while len(kept) < COUNTING_FREQUENCIES:
        kept.add(
            min(
                (i for i in range(slow) if i not in kept),
                key=lambda i: np.sqrt([error for *_, error in _sums(kept | {i}, half)]).sum(),
            )
        )
    counters = torch.arange(slow, slow + len(counted_frequencies()))
    return Coordinates(
        half, lookback, melody_lookup, torch.tensor(sorted(kept)), counters, half - 1
    )


def frequency(coordinate, half: int):
    """Return radians per position of the sinusoids that MusicGen adds to its stream."""
    return 10_000.0 ** (-coordinate / (half - 1))


def _sums(kept: set[int], half: int) -> list[tuple[int, int, int, float]]:
    """Return the sum or difference of two protected sinusoids nearest to each counted frequency.

    Each entry has both coordinates, 1 for a sum or -1 for a difference, and the error.
    """
    places = np.array(sorted(kept))
    frequencies = frequency(places, half)
    pairs = np.stack([frequencies[:, None] + frequencies, frequencies[:, None] - frequencies])
    found = []
    for wanted in counted_frequencies():
        errors = np.abs(pairs - wanted)
        kind, a, b = np.unravel_index(errors.argmin(), errors.shape)
        found.append((int(places[a]), int(places[b]), 1 - 2 * int(kind), float(errors[kind, a, b])))
    return found


def init_beat_counters(layer: nn.Module, at: Coordinates) -> None:
    """Let the first feed-forward network compute the phase of every tempo's beat and progression.

    Each is a cosine and a sine, from position 0.

    The product of two sinusoids contains their sum and difference frequency. A product is a
    difference of squares, ab = ((a + b)^2 - (a - b)^2) / 4, and a pair of GELUs approximates a
    square. Training selects the tempo that applies.

    Args:
        layer: first decoder layer.
        at: layout of the stream.
    """
    inward, outward = layer.fc1.weight, layer.fc2.weight
    unit = 0
    for (a, b, sign, _), counter in zip(
        _sums(set(at.protected.tolist()), at.half), at.counters.tolist(), strict=True
    ):
        cosines, sines = (a, b), (at.half + a, at.half + b)
        for out, pair, part in (
            (counter, cosines, 1),
            (counter, sines, -sign),
            (at.half + counter, (sines[0], cosines[1]), 1),
            (at.half + counter, (cosines[0], sines[1]), sign),
        ):
            for square in (1, -1):
                for direction in (1, -1):
                    inward[unit], outward[:, unit] = 0, 0
                    inward[unit, pair[0]] += direction * COUNTING_GAIN
                    inward[unit, pair[1]] += direction * square * COUNTING_GAIN
                    outward[out, unit] = part * square * COUNTING_OUT
                    unit += 1
