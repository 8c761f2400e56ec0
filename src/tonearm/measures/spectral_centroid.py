"""Spectral centroid in Hz, the acoustic correlate of brightness.

    centroid = sum_t w_t c_t / sum_t w_t,
    c_t = sum_f f |S_ft| / sum_f |S_ft|,    w_t = sum_f |S_ft|

Source: Grey & Gordon 1978, "Perceptual effects of spectral modifications on musical timbres".

Conventions: frames of `tonearm.measures.spectrum`. Independent of gain. None for silence and for
clips shorter than one frame. Clips of different bandwidth are not comparable: 16-kHz audio has
nothing above 8 kHz.

Estimator: `librosa.stft`, `librosa.feature.spectral_centroid`.
"""

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement
from tonearm.measures.spectrum import FRAMES, WEIGHTED


def estimate_spectral_centroid(analysis: ClipAnalysis) -> float | None:
    spectrum = analysis.spectrum
    if spectrum is None:
        return None
    import librosa

    return spectrum.weighted_mean(
        librosa.feature.spectral_centroid(
            S=spectrum.magnitudes, sr=spectrum.sample_rate, n_fft=spectrum.n_fft
        )[0]
    )


SPECTRAL_CENTROID = Measure(
    "spectral_centroid",
    "Hz",
    f"librosa spectral centroid, {FRAMES}, {WEIGHTED}",
    estimate_spectral_centroid,
)


def measure_spectral_centroid(clip: Clip) -> Measurement:
    """Measure the spectral centroid in Hz."""
    return SPECTRAL_CENTROID.of(clip)
