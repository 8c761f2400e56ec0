"""Augmentations of spectrograms: level, equaliser, noise, missing treble, gaps.

All of them are gains over bands or sums of powers. They are therefore cheaper on spectrograms than
on audio, at a close approximation.
"""

import numpy as np

from recipes.evaluators.features import FLOOR_DB


def augment_clap(windows: np.ndarray, rng: np.random.Generator, amount: float = 1.0) -> np.ndarray:
    """Augment log-mel windows independently.

    Args:
        windows: float32 [B, T, F], dB.
        rng: source of randomness.
        amount: scales how often and how strongly the augmentations apply.

    Returns:
        float32 [B, T, F], dB, not below FLOOR_DB.
    """
    varied = windows.copy()
    _, frames, bands = varied.shape

    def sometimes(share: float) -> bool:
        return rng.random() < amount * share

    for window in varied:
        window += amount * (rng.uniform(-24, 12) + curve(bands, 2.0, rng))
        if sometimes(0.4):
            level = window.max() - rng.uniform(45, 90)
            window[:] = np.logaddexp(window * LN_PER_DB, level * LN_PER_DB) / LN_PER_DB
        if sometimes(0.2):
            window[:, rng.integers(int(0.75 * bands), bands) :] = (
                FLOOR_DB  # cut-offs from about 3.5 kHz: telephones, old codecs
            )
        if sometimes(0.6):
            at, width = rng.integers(frames), rng.integers(5, 40)
            window[at : at + width] = FLOOR_DB
        if sometimes(0.4):
            at, width = rng.integers(bands), rng.integers(2, 12)
            window[:, at : at + width] = FLOOR_DB
        if sometimes(0.1):
            window[rng.integers(frames // 2, frames) :] = FLOOR_DB  # a short clip, padded
    return np.maximum(varied, FLOOR_DB)


def augment_beats(piece: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Augment one spectrogram of Beat This!.

    Args:
        piece: log(1 + 1000 x), float32 [T, F].
        rng: source of randomness.

    Returns:
        The augmented spectrogram, of the same shape and scale.
    """
    magnitude = np.expm1(piece) * np.exp(
        LN_PER_DB / 2 * (rng.uniform(-20, 10) + curve(piece.shape[1], 5.0, rng))
    )
    if rng.random() < 0.4:
        magnitude += (
            magnitude.max() * 10 ** rng.uniform(-3.5, -1.7) * rng.rayleigh(0.8, magnitude.shape)
        )
    if rng.random() < 0.3:
        magnitude[:, rng.integers(int(0.4 * piece.shape[1]), piece.shape[1]) :] = 0
    if rng.random() < 0.15:
        magnitude[:, : rng.integers(2, 20)] = 0  # small loudspeakers
    if rng.random() < 0.2:
        at, width = rng.integers(len(piece)), rng.integers(10, 100)
        magnitude[at : at + width] *= rng.uniform(0, 0.1)
    return np.log1p(magnitude).astype(np.float32)


def curve(bands: int, decibels: float, rng: np.random.Generator) -> np.ndarray:
    """Return a smooth random equaliser curve: gain per band in dB, [bands].

    `decibels` is its standard deviation.
    """
    knots = rng.normal(0, decibels, 6)
    return np.interp(np.linspace(0, 5, bands), np.arange(6), knots)


LN_PER_DB = np.log(10) / 10  # of power
