"""Time stretching that keeps attacks: the tempo of a clip changes by a few per cent, its pitch does
not.

A phase vocoder smears an attack over its whole window. The clip is therefore divided into tones and
attacks (median filtering of the spectrogram); the tones are stretched by a phase vocoder of 64 ms, the
attacks by overlapping short grains of 8 ms that are moved and not changed.

Source: Driedger, Müller & Ewert 2014, "Improving time-scale modification of music signals using
harmonic-percussive separation"; the parts by `librosa`.

Shapes: C channels; N samples; N' = N / rate.
"""

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError

WINDOW_SECONDS = 0.064  # of the separation and of the tones' phase vocoder
OVERLAP = 8
GRAIN_SECONDS = 0.008  # of the attacks
MIN_RATE, MAX_RATE = 0.5, 2.0
FULL_SCALE = 1.0


def time_stretch(clip: Clip, rate: float) -> Clip:
    """Play a clip `rate` times as fast, at its pitch.

    Args:
        clip: to be stretched.
        rate: MIN_RATE to MAX_RATE; 1.05 makes the clip 5 % faster and shorter. 1 gives back the clip.

    Returns:
        A clip of N / rate samples. Parts that meet at other times can add up to a higher peak; one
        above full scale is lowered to it, or to that of the clip where the clip's is higher.

    Raises:
        TonearmError: a rate that is not possible, or a clip that is shorter than the window.
    """
    rate = boundary.number(rate, "rate")
    if not MIN_RATE <= rate <= MAX_RATE:
        raise TonearmError(
            f"a time stretch by {rate:g} is not possible; give {MIN_RATE:g} to {MAX_RATE:g}"
        )
    if rate == 1:
        return clip
    n_fft = 2 ** round(np.log2(WINDOW_SECONDS * clip.sample_rate))
    if clip.samples.shape[1] < n_fft:
        raise TonearmError(
            f"a clip of {clip.seconds:.3g} s is too short for a time stretch; give "
            f"{n_fft / clip.sample_rate:.3g} s or more"
        )
    grain = 2 * max(1, round(GRAIN_SECONDS * clip.sample_rate / 2))
    stretched = np.stack([_stretched(channel, rate, n_fft, grain) for channel in clip.samples])
    ceiling = max(FULL_SCALE, float(np.abs(clip.samples).max()))
    stretched *= ceiling / max(ceiling, float(np.abs(stretched).max()))
    return Clip(stretched.astype(np.float32), clip.sample_rate)


def _stretched(samples: np.ndarray, rate: float, n_fft: int, grain: int) -> np.ndarray:
    import librosa
    from librosa.decompose import hpss

    hop, length = n_fft // OVERLAP, round(len(samples) / rate)
    spectrum = librosa.stft(samples, n_fft=n_fft, hop_length=hop)
    tones, attacks = hpss(spectrum)
    slower = librosa.phase_vocoder(tones, rate=rate, hop_length=hop, n_fft=n_fft)
    return librosa.istft(slower, hop_length=hop, n_fft=n_fft, length=length) + overlapped_grains(
        librosa.istft(attacks, hop_length=hop, n_fft=n_fft, length=len(samples)), rate, grain
    )


def overlapped_grains(samples: np.ndarray, rate: float, grain: int) -> np.ndarray:
    """Stretch samples [N] by moving grains of `grain` samples, which overlap by half.

    Returns:
        [N'].
    """
    hop, length = grain // 2, round(len(samples) / rate)
    window = np.sin(np.pi * (np.arange(grain) + 0.5) / grain) ** 2  # halves add up to 1
    starts = np.arange(-hop, length, hop)
    sources = np.round((starts + hop) * rate).astype(int) - hop
    padded = np.pad(samples, (grain, grain))
    places = np.clip(sources + grain, 0, len(padded) - grain)
    grains = padded[places[:, None] + np.arange(grain)] * window
    stretched = np.zeros(length + 2 * grain)
    np.add.at(stretched, (starts + hop)[:, None] + np.arange(grain), grains)
    return stretched[hop : hop + length]
