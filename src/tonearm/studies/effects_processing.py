"""Signal processing of unsteered takes, as a baseline of steering: a shelving filter, a time stretch,
removal of drums.

    shelving        second-order filter that raises or lowers all above about 1 kHz by a gain in
                    dB; the gain gives the takes the mean centroid of the steered ones
    time stretch    phase vocoder at a rate that is the steered takes' mean onset rate over that of
                    the unsteered ones
    harmonic part   of a median-filtered spectrogram: a bin is kept in the share in which it is
                    tonal, and not percussive

Sources: R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients" (shelving
slope 1); Flanagan & Golden 1966, as implemented by `librosa.effects.time_stretch`;
Fitzgerald 2010, "Harmonic/percussive separation using median filtering", DAFx, as implemented by
`librosa.effects.harmonic`.
"""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.signal import sosfilt

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_spectral_centroid

log = logging.getLogger(__name__)

CORNER = 1000.0  # Hz
MAX_GAIN = 40.0  # dB
GAIN_STEP = 0.05  # dB, to which a gain is found


def high_shelf(clip: Clip, gain: float) -> Clip:
    """Raise or lower all above about 1 kHz.

    Args:
        clip: to be filtered.
        gain: of the highest frequencies in dB.

    Returns:
        The filtered clip, with its peak lowered to that before where it is higher, so that nothing
        clips.

    Raises:
        TonearmError: the sample rate is not above twice the corner's.
    """
    if clip.sample_rate <= 2 * CORNER:
        raise TonearmError(
            f"a clip at {clip.sample_rate} Hz has nothing above the corner of {CORNER:g} "
            f"Hz; give one above {2 * CORNER:g} Hz"
        )
    filtered = sosfilt(_shelf_section(gain, clip.sample_rate), clip.samples.astype(float))
    before, after = np.abs(clip.samples).max(initial=0), np.abs(filtered).max(initial=0)
    if after > before:
        filtered *= before / after
    return Clip(filtered.astype(np.float32), clip.sample_rate)


def _shelf_section(gain: float, sample_rate: int) -> np.ndarray:
    """Coefficients of the shelving filter as one second-order section, float64 [1, 6]."""
    amplitude = 10 ** (gain / 40)
    angle = 2 * np.pi * CORNER / sample_rate
    cosine, root = np.cos(angle), np.sqrt(2 * amplitude) * np.sin(angle)
    up, down = amplitude + 1, amplitude - 1
    numerator = amplitude * np.array(
        [up + down * cosine + root, -2 * (down + up * cosine), up + down * cosine - root]
    )
    denominator = np.array(
        [up - down * cosine + root, 2 * (down - up * cosine), up - down * cosine - root]
    )
    return np.concatenate([numerator, denominator])[None] / denominator[0]


def time_stretch(clip: Clip, rate: float) -> Clip:
    """Play a clip `rate` times as fast at its pitch; a longer result is cut to the clip's length.

    Args:
        clip: to be stretched.
        rate: above 0; 2 halves the duration.
    """
    from librosa.effects import time_stretch as stretch

    stretched = stretch(clip.samples, rate=rate)[:, : clip.samples.shape[1]]
    return Clip(np.ascontiguousarray(stretched, dtype=np.float32), clip.sample_rate)


def harmonic_part(clip: Clip, margin: float) -> Clip:
    """Keep the harmonic part of a clip, without its percussive one.

    Args:
        clip: to be separated.
        margin: 1 or more; a larger one keeps less of the mixture.
    """
    from librosa.effects import harmonic

    kept = harmonic(clip.samples, margin=margin)
    return Clip(np.ascontiguousarray(kept, dtype=np.float32), clip.sample_rate)


def gain_for_centroid(clips: Sequence[Clip], target: float) -> float:
    """Find the gain of the shelving filter that gives clips a mean centroid.

    Args:
        clips: unfiltered.
        target: mean spectral centroid in Hz.

    Returns:
        The gain in dB; ±MAX_GAIN, with a warning, where the target is beyond it.

    Raises:
        TonearmError: no clip has a centroid.
    """

    def excess(gain: float) -> float:
        return _mean_centroid(clips, lambda clip: high_shelf(clip, gain)) - target

    sign = 1.0 if excess(0.0) < 0 else -1.0
    if sign * excess(sign * MAX_GAIN) < 0:
        log.warning(
            "no shelving filter within %g dB has a mean centroid of %.0f Hz", MAX_GAIN, target
        )
        return sign * MAX_GAIN
    return float(brentq(excess, 0.0, sign * MAX_GAIN, xtol=GAIN_STEP))


def _mean_centroid(clips: Sequence[Clip], process: Callable[[Clip], Clip]) -> float:
    found = [measure_spectral_centroid(process(clip)).number for clip in clips]
    known = [value for value in found if value is not None]
    if not known:
        raise TonearmError("the takes are silent, so that no filter can be matched to a centroid")
    return float(np.mean(known))
