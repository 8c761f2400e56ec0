"""Brightness: the spectral centroid and the roll-off in Hz, and the share of the energy above 2 kHz.

Aim: how bright or dark a clip sounds; the centroid is the acoustic correlate of brightness (Grey & Gordon 1978).

    centroid = sum_t w_t c_t / sum_t w_t,     c_t = sum_f f |S_ft| / sum_f |S_ft|,     w_t = sum_f |S_ft|
    roll-off = sum_t w_t r_t / sum_t w_t,     r_t the lowest f with 85 % of w_t at or below it (Tzanetakis & Cook 2002)

Conventions: the channels are mixed to mono. Hann frames of 64 ms every 16 ms, in seconds rather than samples, so that a
clip and its resampled copy have the same bins up to the lower Nyquist frequency. Frames are weighted by their
magnitude, so silent ones count for nothing. Gain changes none of the numbers. All are None for silence and for clips
shorter than one frame. Clips of different bandwidth are not comparable: 16-kHz audio holds nothing above 8 kHz.

Estimator: `librosa.stft`, `librosa.feature.spectral_centroid` and `spectral_rolloff`.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.frame_levels import is_sounding
from tonearm.measures.measurement import Measurement

FRAME_SECONDS = 0.064  # 2,048 samples at 32 kHz
HOP_SECONDS = 0.016
HIGH_HZ = 2000.0
ROLLOFF_SHARE = 0.85

CENTROID_PROTOCOL = "librosa spectral centroid, 64-ms Hann frames, 16-ms hop, frames weighted by magnitude"
ROLLOFF_PROTOCOL = "librosa spectral roll-off at 85 %, 64-ms Hann frames, 16-ms hop, frames weighted by magnitude"
HIGH_PROTOCOL = "share of spectral power above 2 kHz, 64-ms Hann frames, 16-ms hop"


def _magnitudes(clip: Clip) -> np.ndarray | None:
    """|S|, float32 [F bins, T frames]; None where there is nothing to measure."""
    n_fft = round(FRAME_SECONDS * clip.sample_rate)
    if clip.samples.shape[1] < n_fft or not is_sounding(clip):
        return None
    import librosa

    # Not padded at the edges: a frame half full of zeros smears the spectrum of what is in it.
    spectrum = librosa.stft(clip.mono, n_fft=n_fft, hop_length=round(HOP_SECONDS * clip.sample_rate), center=False)
    magnitudes = np.abs(spectrum)
    return magnitudes if magnitudes.any() else None  # what sounds may lie where no frame looks, at the very edges


def measure_spectral_centroid(clip: Clip) -> Measurement:
    """The spectral centroid in Hz."""
    magnitudes = _magnitudes(clip)
    if magnitudes is None:
        return Measurement("brightness", None, "Hz", CENTROID_PROTOCOL)
    import librosa

    n_fft = round(FRAME_SECONDS * clip.sample_rate)
    centroids = librosa.feature.spectral_centroid(S=magnitudes, sr=clip.sample_rate, n_fft=n_fft)[0]
    return Measurement("brightness", np.average(centroids, weights=magnitudes.sum(0)), "Hz", CENTROID_PROTOCOL)


def measure_rolloff(clip: Clip) -> Measurement:
    """The spectral roll-off in Hz: what 85 % of the spectrum lies below."""
    magnitudes = _magnitudes(clip)
    if magnitudes is None:
        return Measurement("rolloff", None, "Hz", ROLLOFF_PROTOCOL)
    import librosa

    n_fft = round(FRAME_SECONDS * clip.sample_rate)
    rolloffs = librosa.feature.spectral_rolloff(
        S=magnitudes, sr=clip.sample_rate, n_fft=n_fft, roll_percent=ROLLOFF_SHARE
    )[0]
    return Measurement("rolloff", np.average(rolloffs, weights=magnitudes.sum(0)), "Hz", ROLLOFF_PROTOCOL)


def measure_high_frequency_ratio(clip: Clip) -> Measurement:
    """The share of the energy above 2 kHz, 0 .. 1."""
    magnitudes = _magnitudes(clip)
    if magnitudes is None:
        return Measurement("high_energy", None, "share", HIGH_PROTOCOL)
    n_fft = round(FRAME_SECONDS * clip.sample_rate)
    power = (magnitudes.astype(np.float64) ** 2).sum(1)
    high = np.fft.rfftfreq(n_fft, 1 / clip.sample_rate) > HIGH_HZ
    return Measurement("high_energy", power[high].sum() / power.sum(), "share", HIGH_PROTOCOL)
