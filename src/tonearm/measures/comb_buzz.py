"""Comb buzz: level of lines at multiples of a codec's frame rate above 4.6 kHz.

Aim: the buzz of a neural codec whose frames do not join, which is periodic with the frame rate.

Estimator: mean power spectrum P of 1-s Hann frames (16 kHz, half-second hop, bins of 1 Hz); for
each multiple k f of the frame rate from 4.6 to 7.6 kHz, the mean power within 1 Hz of it over the
mean power of the bins at a quarter to three quarters of the way to the next multiple.

    buzz = 10 log10 median_k( P(k f) / P(between k f and (k + 1) f) )

The median is not moved by a few partials of the music. The value is the larger one of the frame
rates 25 Hz (pocket) and 50 Hz (MusicGen); other codecs' rates can be given.

Conventions: dB, 0 for noise; channels mixed to mono; independent of gain. None for silence, for
clips under 1 s or sampled below 15.2 kHz, and where the band is empty (80 dB below the rest).
"""

from collections.abc import Sequence

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures.base import ClipAnalysis, Measure, Measurement

SAMPLE_RATE = 16_000  # also the frame's length in samples, so that a bin is 1 Hz
LOWEST_HZ, HIGHEST_HZ = 4600, 7600
FRAME_RATES = (25.0, 50.0)  # Hz: pocket, MusicGen
EMPTY = 1e-8  # of the mean power of all bins
MIN_FRAME_RATE, MAX_FRAME_RATE = 12.0, 1000.0  # for bins between the lines; for three lines


def estimate_comb_buzz(
    analysis: ClipAnalysis, frame_rates: Sequence[float] = FRAME_RATES
) -> float | None:
    """Estimate the level of the lines over their neighbourhood, of the strongest frame rate."""
    clip = analysis.clip
    if clip.seconds < 1 or clip.sample_rate < 2 * HIGHEST_HZ or not analysis.is_sounding:
        return None
    from librosa import stft

    mono = analysis.resampled_mono(SAMPLE_RATE)
    if mono.size < SAMPLE_RATE:
        return None
    frames = stft(mono, n_fft=SAMPLE_RATE, hop_length=SAMPLE_RATE // 2, center=False)
    power = (np.abs(frames).astype(np.float64) ** 2).mean(1)
    if power[LOWEST_HZ:HIGHEST_HZ].mean() < EMPTY * power.mean():
        return None
    return max(_level(power, rate) for rate in frame_rates)


def _level(power: np.ndarray, rate: float) -> float:
    ratios = []
    for number in range(int(np.ceil(LOWEST_HZ / rate)), int(HIGHEST_HZ / rate)):
        line, low, high = (round((number + part) * rate) for part in (0, 0.25, 0.75))
        between = power[low : high + 1].mean() + 1e-30
        ratios.append(power[line - 1 : line + 2].mean() / between)
    return float(10 * np.log10(np.median(ratios) + 1e-30))


COMB_BUZZ = Measure(
    "comb_buzz",
    "dB",
    "median level of multiples of 25 or 50 Hz over the bins between, 4.6 to 7.6 kHz, 1-s Hann frames",
    estimate_comb_buzz,
)


def measure_comb_buzz(clip: Clip, frame_rates: Sequence[float] = FRAME_RATES) -> Measurement:
    """Measure the level of the lines at multiples of a codec's frame rate.

    Args:
        clip: the clip.
        frame_rates: frames per second of the codecs; the strongest comb counts.

    Returns:
        The level in dB.

    Raises:
        TonearmError: no frame rate, or one outside 12 to 1000 per second.
    """
    rates = boundary.sequence(frame_rates, "frame_rates", boundary.number, "a list of frame rates")
    if not rates or not all(MIN_FRAME_RATE <= rate <= MAX_FRAME_RATE for rate in rates):
        raise TonearmError(
            f"frame_rates is {list(rates)}; give one or more from {MIN_FRAME_RATE:g} to "
            f"{MAX_FRAME_RATE:g} per second"
        )
    lines = " or ".join(f"{rate:g}" for rate in rates)
    return Measurement(
        COMB_BUZZ.name,
        estimate_comb_buzz(ClipAnalysis(clip), rates),
        COMB_BUZZ.unit,
        COMB_BUZZ.protocol.replace("25 or 50", lines),
    )
