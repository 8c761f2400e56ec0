"""Audio without a beat: shuffled grains of music, noise, held chords and drones.

A tracker that never saw such audio finds beats in it. Its pulse is confirmed, or not, on the same.
"""

import numpy as np

from recipes.evaluators.scores import Score
from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import Note

GRAIN_SECONDS = (0.05, 0.17)
FADE_SECONDS = 0.005
EXPONENTS = {"white": 0.0, "pink": 1.0, "brown": 2.0}  # power falls with frequency ^ exponent
SUSTAINED = (16, 17, 19, 20, 21, 40, 42, 48, 49, 50, 52, 54, 61, 68, 71, 73, 81, 88, 89, 90, 91, 94)
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 11), (0, 3, 7, 10), (0, 5, 7), (0, 4, 8))


def shuffle_grains(clip: Clip, rng: np.random.Generator) -> Clip:
    """Cut a clip into grains of 50 to 170 ms and join them in random order.

    Its spectrum and the number of its notes remain, its rhythm does not. Grains fade in and out
    within 5 ms, so that a cut is no click.
    """
    lengths: list[int] = []
    while sum(lengths) < len(clip.mono):
        lengths.append(round(rng.uniform(*GRAIN_SECONDS) * clip.sample_rate))
    grains = np.split(clip.mono, np.cumsum(lengths)[:-1])
    fade = round(FADE_SECONDS * clip.sample_rate)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade)) ** 2
    for grain in grains:
        inside = min(fade, len(grain) // 2)
        grain[:inside] *= ramp[:inside]
        grain[len(grain) - inside :] *= ramp[:inside][::-1]
    return Clip(np.concatenate([grains[i] for i in rng.permutation(len(grains))]), clip.sample_rate)


def coloured_noise(colour: str, seconds: float, sample_rate: int, rng: np.random.Generator) -> Clip:
    """Draw Gaussian noise with a power spectrum of 1 / f ^ exponent above 20 Hz.

    Args:
        colour: key of EXPONENTS.
        seconds: length.
        sample_rate: in Hz.
        rng: source of randomness.
    """
    count = round(seconds * sample_rate)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequencies = np.fft.rfftfreq(count, 1 / sample_rate)
    spectrum *= np.maximum(frequencies, 20.0) ** (-EXPONENTS[colour] / 2)
    samples = np.fft.irfft(spectrum, count)
    return Clip(0.1 * samples / samples.std(), sample_rate)


def held_chord(seed: int, frames: int) -> Score:
    """Compose one chord that lasts for the whole clip, in one to three instruments.

    Args:
        seed: of key, chord and programs.
        frames: length in frames of 40 ms.
    """
    rng = np.random.default_rng((seed, 4))
    return _held(rng, CHORDS[rng.integers(len(CHORDS))], int(rng.integers(1, 4)), frames)


def drone(seed: int, frames: int) -> Score:
    """Compose a root with its fifth or octave that lasts for the whole clip, as `held_chord`."""
    rng = np.random.default_rng((seed, 5))
    return _held(rng, ((0,), (0, 7), (0, 12), (0, 7, 12))[rng.integers(4)], 1, frames)


def _held(rng: np.random.Generator, chord: tuple[int, ...], parts: int, frames: int) -> Score:
    root = int(rng.integers(40, 64))
    notes = [
        Note(0.0, frames + 25.0, channel, root + 12 * int(rng.integers(2)) + tone, 90)
        for channel in range(parts)
        for tone in chord
    ]
    return Score(
        notes=notes,
        programs={channel: int(rng.choice(SUSTAINED)) for channel in range(parts)},
        kit=0,
        beats=[],
        downbeats=[],
        labels={},
        room=float(rng.uniform(0.2, 1.2)) if rng.random() < 0.5 else 0.0,
        wet=0.3,
    )
