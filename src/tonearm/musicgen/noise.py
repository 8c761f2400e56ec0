"""Sampling noise as a function of (seed, step, codebook, entry): a row draws the same whatever shares its batch.

A 64-bit counter is scrambled by the finaliser of SplitMix64 (Steele, Lea & Flood 2014), in integer arithmetic that is exact on
every device.
"""

import torch

_GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # as signed 64-bit
_MIX1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX2 = 0x94D049BB133111EB - 2**64
_UNIT_BITS = 23  # with the half added, exact in float32: 24 bits would round up to 1, whose noise of 0 wins every race


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift of signed 64-bit integers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _scramble(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shift(x, 30)) * _MIX1
    x = (x ^ _shift(x, 27)) * _MIX2
    return x ^ _shift(x, 31)


def uniform(seeds: torch.Tensor, step: int, codebooks: int, entries: int) -> torch.Tensor:
    """float32 [B, K, V] in (0, 1) for seeds int64 [B]."""
    device = seeds.device
    row = _scramble(seeds * _GOLDEN + step)
    book = torch.arange(codebooks, device=device, dtype=torch.int64)
    entry = torch.arange(entries, device=device, dtype=torch.int64)
    cell = _scramble(row[:, None] ^ ((book + 1) * _GOLDEN))
    bits = _scramble(cell[:, :, None] + (entry + 1) * _GOLDEN)
    return (_shift(bits, 64 - _UNIT_BITS).float() + 0.5) / 2**_UNIT_BITS


def exponential(seeds: torch.Tensor, step: int, codebooks: int, entries: int) -> torch.Tensor:
    """Exp(1) noise, float32 [B, K, V]: argmax(p / noise) is a draw from p."""
    return -torch.log(uniform(seeds, step, codebooks, entries))
