"""Signal processing that changes an attribute of a finished clip: the plain baselines of steering.

    time stretch       phase vocoder (librosa); changes the tempo and keeps the pitch
    shelving filter    second-order, of high frequencies; changes the spectral centroid and keeps the notes

Source of the filter: R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter
coefficients", highShelf of slope 1.
"""

import math

import numpy as np
from scipy.signal import sosfilt

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_spectral_centroid

SHELF_HZ = 1500.0  # midpoint of the filter, near the centroid of a take
MAX_SHELF_DB = 36.0
RATES = (0.25, 4.0)  # of a time stretch
TOLERANCE = 0.005  # of a centroid, relative
MAX_STEPS = 40


def time_stretched(clip: Clip, rate: float) -> Clip:
    """Play a clip at another tempo and the same pitch.

    Args:
        clip: the clip.
        rate: tempo of the result over that of the clip; 2 is twice as fast, and half as long.

    Raises:
        TonearmError: a rate outside RATES.
    """
    from librosa.effects import time_stretch

    if not RATES[0] <= boundary.number(rate, "rate") <= RATES[1]:
        raise TonearmError(
            f"a time stretch by {rate:g} is not possible; give {RATES[0]:g} to {RATES[1]:g}"
        )
    return Clip(time_stretch(clip.samples, rate=rate), clip.sample_rate)


def shelved(clip: Clip, gain_db: float) -> Clip:
    """Filter a clip by a shelving filter at SHELF_HZ, or at a quarter of the Nyquist frequency where
    that is lower.

    Args:
        clip: the clip.
        gain_db: of high frequencies; below 0 darkens.

    Raises:
        TonearmError: a gain beyond MAX_SHELF_DB, or a result beyond the range of samples.
    """
    if not abs(boundary.number(gain_db, "gain_db")) <= MAX_SHELF_DB:
        raise TonearmError(
            f"a shelf of {gain_db:g} dB is not possible; give at most ±{MAX_SHELF_DB:g}"
        )
    hz = min(SHELF_HZ, clip.sample_rate / 8)
    amplitude = 10 ** (gain_db / 40)
    angle = 2 * math.pi * hz / clip.sample_rate
    cosine, alpha = math.cos(angle), math.sin(angle) / math.sqrt(2)
    up, down, root = amplitude + 1, amplitude - 1, 2 * math.sqrt(amplitude) * alpha
    forward = (
        amplitude * (up + down * cosine + root),
        -2 * amplitude * (down + up * cosine),
        amplitude * (up + down * cosine - root),
    )
    back = up - down * cosine + root, 2 * (down - up * cosine), up - down * cosine - root
    section = np.array([[*forward, *back]]) / back[0]
    return Clip(sosfilt(section, clip.samples.astype(np.float64)), clip.sample_rate)


def shelf_for_centroid(clip: Clip, centroid_hz: float) -> float:
    """Find the gain of the filter that gives a clip a spectral centroid, by bisection.

    Args:
        clip: the clip.
        centroid_hz: the target; one beyond reach gives the gain nearest to it.

    Returns:
        Gain in dB.

    Raises:
        TonearmError: the clip has no centroid, since it is silent or too short.
    """
    if measure_spectral_centroid(clip).number is None:
        raise TonearmError("a clip without a spectral centroid cannot be filtered towards one")
    low, high = -MAX_SHELF_DB, MAX_SHELF_DB
    for _ in range(MAX_STEPS):
        gain = (low + high) / 2
        found = measure_spectral_centroid(shelved(clip, gain)).number or 0.0
        if abs(found / centroid_hz - 1) < TOLERANCE or high - low < 0.01:
            break
        low, high = (gain, high) if found < centroid_hz else (low, gain)
    return gain
