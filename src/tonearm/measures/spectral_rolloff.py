"""Spectral roll-off in Hz: the upper limit of 85 % of the spectrum.

    roll-off = sum_t w_t r_t / sum_t w_t,    w_t = sum_f |S_ft|,
    r_t = the lowest f with 85 % of w_t at or below it

Source: Tzanetakis & Cook 2002, "Musical genre classification of audio signals".

Conventions: as the spectral centroid.

Estimator: `librosa.stft`, `librosa.feature.spectral_rolloff`.
"""

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement
from tonearm.measures.spectrum import FRAMES, WEIGHTED

ROLLOFF_SHARE = 0.85


def estimate_spectral_rolloff(analysis: ClipAnalysis) -> float | None:
    spectrum = analysis.spectrum
    if spectrum is None:
        return None
    import librosa

    return spectrum.weighted_mean(
        librosa.feature.spectral_rolloff(
            S=spectrum.magnitudes,
            sr=spectrum.sample_rate,
            n_fft=spectrum.n_fft,
            roll_percent=ROLLOFF_SHARE,
        )[0]
    )


SPECTRAL_ROLLOFF = Measure(
    "spectral_rolloff",
    "Hz",
    f"librosa spectral roll-off at 85 %, {FRAMES}, {WEIGHTED}",
    estimate_spectral_rolloff,
)


def measure_spectral_rolloff(clip: Clip) -> Measurement:
    """Measure the spectral roll-off in Hz."""
    return SPECTRAL_ROLLOFF.of(clip)
