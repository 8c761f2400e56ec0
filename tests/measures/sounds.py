"""Clips with known tempo, level and spectrum."""

import numpy as np

from tonearm.audio import Clip

SAMPLE_RATE = 16_000


def tone(
    hz: float, seconds: float = 1.0, amplitude: float = 0.5, sample_rate: int = SAMPLE_RATE
) -> Clip:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return Clip(amplitude * np.sin(2 * np.pi * hz * time), sample_rate)


def noise(seconds: float = 1.0, amplitude: float = 0.1, seed: int = 0) -> Clip:
    return Clip(
        amplitude * np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE)),
        SAMPLE_RATE,
    )


def silence(seconds: float = 1.0) -> Clip:
    return Clip(np.zeros(round(seconds * SAMPLE_RATE)), SAMPLE_RATE)


def clicks(
    bpm: float, seconds: float = 10.0, first_seconds: float = 0.1, sample_rate: int = SAMPLE_RATE
) -> Clip:
    """Noise bursts of 30 ms, decaying, one to a beat."""
    samples = np.zeros(round(seconds * sample_rate))
    length = round(0.03 * sample_rate)
    burst = np.random.default_rng(1).uniform(-0.5, 0.5, length) * np.exp(
        -np.arange(length) / (0.2 * length)
    )
    for start in np.arange(first_seconds, seconds - 0.03, 60 / bpm):
        first = round(start * sample_rate)
        samples[first : first + length] += burst
    return Clip(samples, sample_rate)
