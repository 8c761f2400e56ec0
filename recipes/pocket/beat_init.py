"""The decoder's stream shared out among what it begins with, and its first layer counting every tempo's beats.

MusicGen adds sinusoids to its stream; a beat is a frequency that none of them has. Two of them multiplied have it.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from recipes.pocket.compose import BEAT_LENGTHS, PROGRESSION_BEATS

CHROMA_FRAMES = 3.2  # codec frames a frame of chroma: 4,096 samples at 32 kHz
COUNTED_BEATS = (1, PROGRESSION_BEATS)
COUNTING_FREQUENCIES = 32  # whose sines and cosines are kept for looking and counting
COUNTING_GAIN, COUNTING_OUT = 1.0, 1.5  # into and out of the units that count: small, where a pair of GELUs is a square


@dataclass(frozen=True)
class Coordinates:
    """Which numbers of the stream (width 2 * `half`) begin as what. Cosines of positions lie in the first half of it, sines in the second."""

    half: int
    looking: torch.Tensor  # cosines that queries and keys meet on
    coarser: torch.Tensor  # the same, on the melody's grid
    kept: torch.Tensor  # cosines of all frequencies that nothing else may disturb
    counts: torch.Tensor  # cosines of slow frequencies that hardly move over a clip: the counts are written over them
    constant: int  # the slowest cosine, 1 at all positions in use

    @property
    def taken(self) -> torch.Tensor:
        """What codes, chroma and text leave alone."""
        cosines = torch.cat([self.kept, self.counts])
        return torch.cat([cosines, self.half + cosines, torch.tensor([self.constant])])

    @property
    def content(self) -> torch.Tensor:
        """What is free for them."""
        free = torch.ones(2 * self.half, dtype=torch.bool)
        free[self.taken] = False
        return free.nonzero().flatten()


def counted_frequencies() -> np.ndarray:
    """In radians a frame: of every tempo's beat, then of every tempo's progression."""
    return np.array([2 * np.pi / (beats * n) for beats in COUNTED_BEATS for n in BEAT_LENGTHS])


def coordinates(width: int, heads: int) -> Coordinates:
    """The share of the stream's numbers for a decoder of this width."""
    half, pairs = width // 2, width // heads // 2
    looking = torch.arange(pairs) * (half // 32)
    coarser = looking + round(math.log(CHROMA_FRAMES) / (math.log(10_000) / (half - 1)))
    slow = int(coarser.max()) + 1
    kept = set(looking.tolist()) | set(coarser.tolist())
    while len(kept) < COUNTING_FREQUENCIES:  # add the one that helps most to make the counted frequencies from two
        kept.add(
            min(
                (i for i in range(slow) if i not in kept),
                key=lambda i: np.sqrt([miss for *_, miss in _sums(kept | {i}, half)]).sum(),
            )
        )
    counts = torch.arange(slow, slow + len(counted_frequencies()))
    return Coordinates(half, looking, coarser, torch.tensor(sorted(kept)), counts, half - 1)


def frequency(coordinate, half: int):
    """Radians a position of the sinusoids that MusicGen adds to its stream."""
    return 10_000.0 ** (-coordinate / (half - 1))


def _sums(kept: set[int], half: int) -> list[tuple[int, int, int, float]]:
    """For each counted frequency the pair of kept ones whose sum (1) or difference (-1) is nearest, and by how much it misses."""
    places = np.array(sorted(kept))
    frequencies = frequency(places, half)
    pairs = np.stack([frequencies[:, None] + frequencies, frequencies[:, None] - frequencies])
    found = []
    for wanted in counted_frequencies():
        misses = np.abs(pairs - wanted)
        kind, a, b = np.unravel_index(misses.argmin(), misses.shape)
        found.append((int(places[a]), int(places[b]), 1 - 2 * int(kind), float(misses[kind, a, b])))
    return found


def count(layer: nn.Module, at: Coordinates) -> None:
    """The first layer's feed-forward network starts with cosine and sine of every tempo's beat and progression, counted from position 0.

    Two sinusoids multiplied hold their sum and difference frequency, and a product is a difference of squares, each of two GELUs:
    ab = ((a + b)^2 - (a - b)^2) / 4. Which of the tempos counts is for training to find.
    """
    inward, outward = layer.fc1.weight, layer.fc2.weight
    unit = 0
    for (a, b, sign, _), count in zip(_sums(set(at.kept.tolist()), at.half), at.counts.tolist(), strict=True):
        cosines, sines = (a, b), (at.half + a, at.half + b)
        for out, pair, part in (
            (count, cosines, 1), (count, sines, -sign), (at.half + count, (sines[0], cosines[1]), 1), (at.half + count, (cosines[0], sines[1]), sign),
        ):  # fmt: skip
            for square in (1, -1):
                for direction in (1, -1):
                    inward[unit], outward[:, unit] = 0, 0
                    inward[unit, pair[0]] += direction * COUNTING_GAIN
                    inward[unit, pair[1]] += direction * square * COUNTING_GAIN
                    outward[out, unit] = part * square * COUNTING_OUT
                    unit += 1
