"""Signal processing of unsteered takes, as a baseline of steering: a shelving filter, a time stretch,
removal of drums.

    shelving        second-order filter that raises or lowers all above about 1 kHz by a gain in
                    dB; the gain gives the takes the mean centroid of the steered ones
    time stretch    phase vocoder at a rate that is the steered takes' mean onset rate over that of
                    the unsteered ones
    harmonic part   of a median-filtered spectrogram: a bin is kept in the share in which it is
                    tonal, and not percussive

The filter is `tonearm.processing.high_shelf`. Sources of the others: Flanagan & Golden 1966, as
implemented by `librosa.effects.time_stretch`; Fitzgerald 2010, "Harmonic/percussive separation using
median filtering", DAFx, as implemented by `librosa.effects.harmonic`.
"""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_spectral_centroid
from tonearm.processing import high_shelf

log = logging.getLogger(__name__)

MAX_GAIN = 40.0  # dB
GAIN_STEP = 0.05  # dB, to which a gain is found


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
