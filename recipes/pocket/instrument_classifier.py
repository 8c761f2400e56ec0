"""A small convolutional classifier of lead, genre and mode, for the model card.

Its accuracy depends on its training audio. Trained on the rendered corpus it recognises nearly
every rendered lead, and four in ten of those decoded by the codec; trained on decoded pieces, eight
in ten of these (LOG.md). A linear classifier on levels of mel bands recognises seven.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import librosa
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from recipes.pocket.corpus import as_float
from tonearm.datasets.rendering.synthesizer import SAMPLE_RATE

LABELS = ("genre", "lead", "mode")
LABEL_WEIGHTS = (1.0, 1.0, 0.3)
SIZES, HOP, BANDS = (512, 2048), 160, 80  # long windows resolve partials, short ones attacks
POWER_FLOOR = 1e-5  # of mel power, relative to the clip's level
CHANNELS = (16, 32, 64, 96)
CROP = 40_960  # samples, 2.56 s
BATCH, RATE = 24, 2e-3

Draw = Callable[[np.random.Generator], tuple[np.ndarray, Sequence[dict]]]


class InstrumentClassifier(nn.Module):
    """Map log-mel energies [B, 2, BANDS, frames] to logits of each of LABELS, [B, values]."""

    def __init__(self, values: dict[str, list[str]]):
        super().__init__()
        self.values = values
        widths = (len(SIZES), *CHANNELS)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(narrow, wide, kernel, stride, padding=kernel // 2),
                    nn.BatchNorm2d(wide),
                    nn.ReLU(),
                )
                for narrow, wide, kernel, stride in zip(
                    widths, CHANNELS, (5, 3, 3, 3), (2, 2, 2, (2, 1)), strict=False
                )
            )
        )
        self.heads = nn.ModuleList(
            nn.Linear(3 * CHANNELS[-1] * BANDS // 16, len(values[label])) for label in LABELS
        )
        self.drop = nn.Dropout(0.4)

    def forward(self, energies: torch.Tensor) -> list[torch.Tensor]:
        last = self.blocks(energies)
        pooled = torch.cat([last.mean(-1), last.amax(-1), last.std(-1)], 1).flatten(1)
        return [head(self.drop(pooled)) for head in self.heads]


def mel_power(samples: torch.Tensor) -> torch.Tensor:
    """Return mel power [B, 2, BANDS, frames] of samples [B, T].

    Rows are normalised to their level.
    """
    samples = samples / (samples.pow(2).mean(-1, keepdim=True).sqrt() + 1e-3)
    both = []
    for size in SIZES:
        window = torch.hann_window(size, device=samples.device)
        spectrum = torch.stft(
            samples, size, HOP, window=window, normalized=True, return_complex=True
        )
        both.append(_mel(size).to(samples.device) @ torch.view_as_real(spectrum).pow(2).sum(-1))
    return torch.stack(both, 1)


def energies(power: torch.Tensor) -> torch.Tensor:
    """Return log power, scaled to the order of one."""
    return (10 * (power + POWER_FLOOR).log10() + 20) / 15


def augment(power: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Vary the power randomly.

    The spectrum by up to some 6 dB, noise 30 to 70 dB below the maximum, each bin by up to 3 dB.
    """
    rows = len(power)

    def drawn(low: float, high: float) -> torch.Tensor:
        return torch.from_numpy(rng.uniform(low, high, (rows, 1, 1, 1)).astype(np.float32))

    colour = torch.from_numpy(rng.normal(0, 3, (rows, 1, 6)).astype(np.float32))
    colour = F.interpolate(colour, BANDS, mode="linear", align_corners=True)[..., None]
    grain = drawn(0, 3) * torch.from_numpy(rng.standard_normal(power.shape, dtype=np.float32))
    noise = 2 * torch.from_numpy(rng.random(power.shape, dtype=np.float32))
    floor = power.amax((1, 2, 3), keepdim=True) * 10 ** -drawn(3, 7) * noise
    return power * 10 ** ((colour + grain) / 10) + floor


def train_classifier(
    draw: Draw, labels: Iterable[dict], steps: int, seed: int = 0
) -> InstrumentClassifier:
    """Train on random batches.

    Args:
        draw: maps a generator to samples [B, T] as int16 and the labels of each row.
        labels: labels that define the classes.
        steps: number of steps.
        seed: of weights and batches.

    Returns:
        The trained classifier, frozen.
    """
    torch.manual_seed(seed)
    classifier = InstrumentClassifier(label_values(labels))
    optimizer = torch.optim.AdamW(classifier.parameters(), RATE, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for step in range(steps):
        rng = np.random.default_rng((seed, 9, step))
        samples, truth = draw(rng)
        power = mel_power(torch.from_numpy(as_float(samples)))
        with torch.autocast("cpu", torch.bfloat16):
            logits = classifier(energies(augment(power, rng)))
        losses = [
            weight
            * F.cross_entropy(
                one.float(),
                torch.tensor([classifier.values[label].index(row[label]) for row in truth]),
            )
            for label, weight, one in zip(LABELS, LABEL_WEIGHTS, logits, strict=True)
        ]
        optimizer.zero_grad(set_to_none=True)
        torch.stack(losses).sum().backward()
        optimizer.step()
        schedule.step()
    return classifier.eval().requires_grad_(False)


def label_values(labels: Iterable[dict]) -> dict[str, list[str]]:
    """Return the sorted values of each label."""
    seen: dict[str, set[str]] = {label: set() for label in LABELS}
    for piece in labels:
        for label in LABELS:
            seen[label].add(piece[label])
    return {label: sorted(values) for label, values in seen.items()}


@torch.inference_mode()
def predict_labels(classifier: InstrumentClassifier, samples: np.ndarray) -> list[dict[str, str]]:
    """Predict the labels of samples, int16 [B, T]."""
    logits = classifier(energies(mel_power(torch.from_numpy(as_float(samples)))))
    rows = zip(*(one.argmax(1).tolist() for one in logits), strict=True)
    return [
        {label: classifier.values[label][i] for label, i in zip(LABELS, row, strict=True)}
        for row in rows
    ]


@cache
def _mel(size: int) -> torch.Tensor:
    return torch.from_numpy(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=size, n_mels=BANDS, fmin=40))
