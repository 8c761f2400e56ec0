"""Noise as a function of a row's seed and of counters, so that a row draws the same whatever shares
its batch.

    sampling  (seed, step, codebook, entry)
    gates     (seed, position of the steer, layer, frame)

A 64-bit counter is scrambled by the finaliser of SplitMix64 (Steele, Lea & Flood 2014), in integer
arithmetic that is exact on every device.
"""

import torch

_GOLDEN = 0x9E3779B97F4A7C15 - 2**64  # as signed 64-bit
_MIX1 = 0xBF58476D1CE4E5B9 - 2**64
_MIX2 = 0x94D049BB133111EB - 2**64
_GATES = 0x6A09E667F3BCC909  # keeps the noise of gates apart from that of sampling
MAX_RUN_STEPS, MAX_RUN_CELLS = 32, 2**19
_UNIT_BITS = 23  # with the half added, exact in float32: 24 bits would round up to 1, whose noise of 0 wins every race


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift of signed 64-bit integers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _scramble(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shift(x, 30)) * _MIX1
    x = (x ^ _shift(x, 27)) * _MIX2
    return x ^ _shift(x, 31)


def uniform(seeds: torch.Tensor, steps: torch.Tensor, codebooks: int, entries: int) -> torch.Tensor:
    """float32 [S, B, K, V] in (0, 1) for seeds int64 [B] and steps int64 [S]."""
    device = seeds.device
    row = _scramble(seeds * _GOLDEN + steps[:, None])
    book = torch.arange(codebooks, device=device, dtype=torch.int64)
    entry = torch.arange(entries, device=device, dtype=torch.int64)
    cell = _scramble(row[..., None] ^ ((book + 1) * _GOLDEN))
    return _unit(_scramble(cell[..., None] + (entry + 1) * _GOLDEN))


def uniform_gates(
    seeds: torch.Tensor, frames: torch.Tensor, layers: torch.Tensor, position: int
) -> torch.Tensor:
    """Draw the noise of a steer's gates.

    Args:
        seeds: of n rows, int64 [n].
        frames: int64 [n, S].
        layers: of the model, int64 [L].
        position: of the steer in its list.

    Returns:
        float32 [L, n, S] in (0, 1).
    """
    steer = torch.tensor(position + 1, device=seeds.device) * _GOLDEN
    row = _scramble(seeds * _GOLDEN + _GATES)
    cell = _scramble(_scramble(row[:, None] + frames) ^ steer)
    return _unit(_scramble(cell + (layers[:, None, None] + 1) * _GOLDEN))


def _unit(bits: torch.Tensor) -> torch.Tensor:
    """Random bits int64 as float32 in (0, 1)."""
    return (_shift(bits, 64 - _UNIT_BITS).float() + 0.5) / 2**_UNIT_BITS


class ExponentialNoise:
    """Exp(1) noise of each step, float32 [B, K, V]: argmax(p / noise) is a draw from p.

    Made for a run of steps at a time: one step's is too little work for the operators that it
    takes.
    """

    def __init__(self, seeds: torch.Tensor, codebooks: int, entries: int):
        self.seeds, self.shape = seeds, (codebooks, entries)
        self.length = max(
            1, min(MAX_RUN_STEPS, MAX_RUN_CELLS // (len(seeds) * codebooks * entries))
        )
        self.first, self.run = 0, torch.empty(0)

    def at(self, step: int) -> torch.Tensor:
        if not self.first <= step < self.first + len(self.run):
            steps = torch.arange(step, step + self.length, device=self.seeds.device)
            self.first, self.run = step, -torch.log(uniform(self.seeds, steps, *self.shape))
        return self.run[step - self.first]
