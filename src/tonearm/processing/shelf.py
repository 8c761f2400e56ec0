"""Shelving filter: raises or lowers all above about 1 kHz.

Source: R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients" (shelving
slope 1).
"""

import numpy as np
from scipy.signal import sosfilt

from tonearm.audio import Clip
from tonearm.errors import TonearmError

CORNER = 1000.0  # Hz


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
