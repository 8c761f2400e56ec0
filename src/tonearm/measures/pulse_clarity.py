"""Pulse clarity: how strongly the onsets of a clip repeat at a period of the tempo range.

    r(k) = [1 / (N - k) sum_t x(t) x(t + k)] / [1 / N sum_t x(t)^2]

where x is the onset envelope, smoothed by a Gaussian of 16 ms, without its mean. The measure is the height of the highest peak of r
between lags of 0.25 and 1.5 s (240 to 40 BPM): near 1 for a metronome, 0 where nothing repeats. A
peak is a local maximum, so that the slope from r(0) = 1 at the shortest lags is none.

Conventions: the mean product over the N - k overlapping frames (the unbiased estimator), since the
sum alone would be 1 - k / N for a metronome, which is 0.95 at 120 BPM and 0.85 at 40 BPM in ten
seconds. Without the smoothing, clicks whose period is between two frames have 0.82. Limited to 0 .. 1. Channels mixed to mono; neither gain nor sample rate changes it. 0 for a
steady sound, which has no onsets; None for silence and under 4 s, where the longest lags repeat
less than twice.

Limits: the value depends on the envelope (mean rise over 128 mel bands every 8 ms), and a deviation
of the onsets by more than about 20 ms lowers it. It does not tell a beat from any other repetition
at these periods, and not one metrical level from another.

Source: the idea is that of Lartillot, Eerola, Toiviainen & Fornari 2008, "Multi-feature modeling of
pulse clarity", ISMIR.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement
from tonearm.onset_envelope import ENVELOPE_HOP, ENVELOPE_SAMPLE_RATE, FIRST_FRAME

ENVELOPE_RATE = ENVELOPE_SAMPLE_RATE / ENVELOPE_HOP  # frames per second
SHORTEST_LAG, LONGEST_LAG = 0.25, 1.5  # seconds
SMOOTHING_FRAMES = 2  # 16 ms
MIN_PULSE_SECONDS = 4.0


def estimate_pulse_clarity(analysis: ClipAnalysis) -> float | None:
    if analysis.clip.seconds < MIN_PULSE_SECONDS or not analysis.is_sounding:
        return None
    return highest_peak(autocorrelation(analysis.onset_envelope))


def autocorrelation(envelope: np.ndarray, longest: float = LONGEST_LAG) -> np.ndarray:
    """Compute r(k) of the module's docstring for lags from 0 to `longest` and one frame more.

    Args:
        envelope: onset strength, float32 [F], one frame per 8 ms; its first frames, which are 0 by
            definition, are left out.
        longest: seconds; at most two thirds of the envelope are used, beyond which r is an average
            over too little.

    Returns:
        float64 [lags]; zeros for an envelope of zeros and for one that is too short for a lag.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import correlate

    flux = np.asarray(envelope[FIRST_FRAME:], dtype=np.float64)
    lags = min(round(longest * ENVELOPE_RATE) + 2, max(2, 2 * len(flux) // 3))
    if len(flux) < lags or not flux.any():
        return np.zeros(lags)
    flux = gaussian_filter1d(flux, SMOOTHING_FRAMES)
    flux -= flux.mean()
    products = correlate(flux, flux, method="fft")[len(flux) - 1 :][:lags]
    return products / (len(flux) - np.arange(lags)) / (products[0] / len(flux))


def highest_peak(correlation: np.ndarray) -> float:
    """Return the height of the highest local maximum between the two lags, 0 .. 1; 0 for none."""
    first = round(SHORTEST_LAG * ENVELOPE_RATE)
    here = correlation[first:-1]
    peaks = here[(here > correlation[first - 1 : -2]) & (here >= correlation[first + 1 :])]
    return float(peaks.max(initial=0.0).clip(0.0, 1.0))


PULSE_CLARITY = Measure(
    "pulse_clarity",
    "0..1",
    "highest peak of the unbiased autocorrelation of the mel spectral flux (16 kHz, 8-ms hop), "
    "0.25 to 1.5 s",
    estimate_pulse_clarity,
)


def measure_pulse_clarity(clip: Clip) -> Measurement:
    """Measure the pulse clarity, 0 .. 1."""
    return PULSE_CLARITY.of(clip)
