"""Codes that a decoding keeps where it is rewound (decode_loop.py).

Codebook k of a frame is decided lag(k) steps after its first codebook. When a decoding is rewound to
a frame, all codebooks of the frames before it keep the codes that they have; some of these belong to
steps that are made again:

    rewound to frame 5, steps of the first codebook at frames 0 .. 6 made before

    frame     2   3   4 | 5   6        step that decides codebook k of frame t: t + lag(k)
    book 0    .   .   . | again
    book 1    .   .   k | again        k: kept, by steps 5 and 6
    book 2    .   k   k |

Shapes: B batch rows; K codebooks; T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tonearm.musicgen.delay import lags

UNKNOWN = -1  # a code that is to be decided


@dataclass(frozen=True)
class Rewind:
    """A rewind to `frame`.

    `codes` holds for each codebook the codes of the last lag(k) frames before it, or of all frames
    where there are fewer.
    """

    frame: int
    codes: tuple[tuple[int, ...], ...]


def kept_lengths(frame: int, codebooks: int, channels: int) -> list[int]:
    """Number of codes of each codebook that a rewind to a frame keeps."""
    return [min(lag, frame) for lag in lags(codebooks, channels)]


def rewind_of(codes: torch.Tensor, frame: int, channels: int) -> Rewind:
    """The rewind to a frame.

    Args:
        codes: of a take, [K, T].
        frame: that the decoding was rewound to.
        channels: of the checkpoint.
    """
    lengths = kept_lengths(frame, len(codes), channels)
    kept = (
        book[frame - length : frame].tolist() for book, length in zip(codes, lengths, strict=True)
    )
    return Rewind(frame, tuple(map(tuple, kept)))


def kept_codes(
    rows: Sequence[Sequence[Rewind]], codebooks: int, channels: int
) -> torch.Tensor | None:
    """Codes that rows keep, int64 [B, K, T], UNKNOWN elsewhere; None where no row was rewound.

    Args:
        rows: rewinds of each row.
        codebooks: K.
        channels: of the checkpoint.
    """
    frames = max((one.frame for rewinds in rows for one in rewinds), default=0)
    if not frames:
        return None
    kept = torch.full((len(rows), codebooks, frames), UNKNOWN)
    for row, rewinds in enumerate(rows):
        for one in rewinds:
            for k, codes in enumerate(one.codes):
                kept[row, k, one.frame - len(codes) : one.frame] = torch.tensor(
                    codes, dtype=torch.int64
                )
    return kept
