"""The codebook delay pattern, both ways.

The model sees codebook k of frame t at position 1 + t + lag(k); position 0 and every hole hold BOS:

    position  0  1  2  3  4  5        lag(k) = k (mono), k // 2 (stereo: left and right books alternate)
    book 0    B  a0 a1 a2 B  B
    book 1    B  B  b0 b1 b2 B
    book 2    B  B  B  c0 c1 c2
"""

import torch


def lags(codebooks: int, channels: int) -> list[int]:
    """Frames by which each codebook lags the first."""
    return [k // channels for k in range(codebooks)]


def sequence_length(frames: int, codebooks: int, channels: int) -> int:
    """Positions that `frames` frames take, the BOS included."""
    return 1 + frames + lags(codebooks, channels)[-1]


def whole_columns(frames: int, codebooks: int, channels: int) -> range:
    """Positions at which no codebook holds a BOS: 1 + max lag .. T for T frames."""
    return range(1 + lags(codebooks, channels)[-1], frames + 1)


def delay(codes: torch.Tensor, bos: int, channels: int = 1) -> torch.Tensor:
    """Codes [B, K, T] -> tokens [B, K, 1 + T + max lag], holes filled with `bos`."""
    rows, books, frames = codes.shape
    tokens = codes.new_full((rows, books, sequence_length(frames, books, channels)), bos)
    for k, lag in enumerate(lags(books, channels)):
        tokens[:, k, 1 + lag : 1 + lag + frames] = codes[:, k]
    return tokens


def undelay(tokens: torch.Tensor, channels: int = 1) -> torch.Tensor:
    """Tokens [B, K, 1 + T + max lag] -> codes [B, K, T]."""
    books = tokens.shape[1]
    lag_of = lags(books, channels)
    frames = tokens.shape[2] - 1 - lag_of[-1]
    return torch.stack(
        [tokens[:, k, 1 + lag : 1 + lag + frames] for k, lag in enumerate(lag_of)], dim=1
    )
