"""A small network that names leads, genres and modes by ear, for the card: what it was trained on is what it takes for an instrument.

Trained on the corpus as rendered it names nearly every lead there, and four in ten of those that the codec decodes; trained on decoded pieces, eight in ten of
them (LOG.md). A linear classifier on levels of mel bands names seven.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from recipes.pocket.corpus import as_float
from recipes.pocket.render import SAMPLE_RATE

LABELS = ("genre", "lead", "mode")
LABEL_WEIGHTS = (1.0, 1.0, 0.3)
SIZES, HOP, BANDS = (512, 2048), 160, 80  # long windows tell partials apart, short ones attacks
POWER_FLOOR = 1e-5  # of mel power, against the clip's level
CHANNELS = (16, 32, 64, 96)
CROP = 40_960  # samples, 2.56 s
BATCH, RATE = 24, 2e-3

Draw = Callable[[np.random.Generator], tuple[np.ndarray, Sequence[dict]]]


class Listener(nn.Module):
    """Log-mel energies [B, 2, BANDS, frames] -> logits of each of LABELS, [B, values]."""

    def __init__(self, values: dict[str, list[str]]):
        super().__init__()
        self.values = values
        widths = (len(SIZES), *CHANNELS)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(narrow, wide, kernel, stride, padding=kernel // 2), nn.BatchNorm2d(wide), nn.ReLU()
                )
                for narrow, wide, kernel, stride in zip(widths, CHANNELS, (5, 3, 3, 3), (2, 2, 2, (2, 1)), strict=False)
            )
        )
        self.heads = nn.ModuleList(nn.Linear(3 * CHANNELS[-1] * BANDS // 16, len(values[label])) for label in LABELS)
        self.drop = nn.Dropout(0.4)

    def forward(self, energies: torch.Tensor) -> list[torch.Tensor]:
        last = self.blocks(energies)
        pooled = torch.cat([last.mean(-1), last.amax(-1), last.std(-1)], 1).flatten(1)
        return [head(self.drop(pooled)) for head in self.heads]


def mel_power(samples: torch.Tensor) -> torch.Tensor:
    """Samples [B, T] -> [B, 2, BANDS, frames], as loud as each row is."""
    samples = samples / (samples.pow(2).mean(-1, keepdim=True).sqrt() + 1e-3)
    both = []
    for size in SIZES:
        window = torch.hann_window(size, device=samples.device)
        spectrum = torch.stft(samples, size, HOP, window=window, normalized=True, return_complex=True)
        both.append(_mel(size).to(samples.device) @ torch.view_as_real(spectrum).pow(2).sum(-1))
    return torch.stack(both, 1)


def energies(power: torch.Tensor) -> torch.Tensor:
    """Logarithm, of order one."""
    return (10 * (power + POWER_FLOOR).log10() + 20) / 15


def disguised(power: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Coloured by up to some 6 dB, with noise 30 to 70 dB below the loudest and up to 3 dB on every bin: none of it may matter."""
    rows = len(power)

    def drawn(low: float, high: float) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, (rows, 1, 1, 1)).astype(np.float32))

    colour = torch.from_numpy(rng.normal(0, 3, (rows, 1, 6)).astype(np.float32))
    colour = F.interpolate(colour, BANDS, mode="linear", align_corners=True)[..., None]
    grain = drawn(0, 3) * torch.from_numpy(rng.standard_normal(power.shape, dtype=np.float32))
    noise = 2 * torch.from_numpy(rng.random(power.shape, dtype=np.float32))
    floor = power.amax((1, 2, 3), keepdim=True) * 10 ** -drawn(3, 7) * noise
    return power * 10 ** ((colour + grain) / 10) + floor


def train_listener(draw: Draw, labels: Iterable[dict], steps: int, seed: int = 0) -> Listener:
    """On `draw(rng)`: samples [B, T] as int16, and the labels of each row."""
    torch.manual_seed(seed)
    listener = Listener(named_values(labels))
    optimizer = torch.optim.AdamW(listener.parameters(), RATE, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for step in range(steps):
        rng = np.random.default_rng((seed, 9, step))
        samples, truth = draw(rng)
        power = mel_power(torch.from_numpy(as_float(samples)))
        with torch.autocast("cpu", torch.bfloat16):
            logits = listener(energies(disguised(power, rng)))
        losses = [
            weight * F.cross_entropy(one.float(), torch.tensor([listener.values[label].index(row[label]) for row in truth]))
            for label, weight, one in zip(LABELS, LABEL_WEIGHTS, logits, strict=True)
        ]  # fmt: skip
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        optimizer.step()
        schedule.step()
    return listener.eval().requires_grad_(False)


def named_values(labels: Iterable[dict]) -> dict[str, list[str]]:
    seen: dict[str, set[str]] = {label: set() for label in LABELS}
    for piece in labels:
        for label in LABELS:
            seen[label].add(piece[label])
    return {label: sorted(values) for label, values in seen.items()}


@torch.inference_mode()
def names(listener: Listener, samples: np.ndarray) -> list[dict[str, str]]:
    """Samples, int16 [B, T] -> what it takes each row for."""
    logits = listener(energies(mel_power(torch.from_numpy(as_float(samples)))))
    rows = zip(*(one.argmax(1).tolist() for one in logits), strict=True)
    return [{label: listener.values[label][i] for label, i in zip(LABELS, row, strict=True)} for row in rows]


@cache
def _mel(size: int) -> torch.Tensor:
    return torch.from_numpy(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=size, n_mels=BANDS, fmin=40))
