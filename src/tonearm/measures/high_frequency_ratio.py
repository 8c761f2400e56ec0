"""High-frequency ratio: the share of the spectral power above 2 kHz, 0 .. 1.

Conventions: frames of `tonearm.measures.spectrum`. Independent of gain. None for silence and for
clips shorter than one frame.

Estimator: `librosa.stft`, numpy.
"""

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement
from tonearm.measures.spectrum import FRAMES

HIGH_HZ = 2000.0


def estimate_high_frequency_ratio(analysis: ClipAnalysis) -> float | None:
    spectrum = analysis.spectrum
    if spectrum is None:
        return None
    return spectrum.power[spectrum.frequencies > HIGH_HZ].sum() / spectrum.power.sum()


HIGH_FREQUENCY_RATIO = Measure(
    "high_frequency_ratio",
    "share",
    f"share of spectral power above 2 kHz, {FRAMES}",
    estimate_high_frequency_ratio,
)


def measure_high_frequency_ratio(clip: Clip) -> Measurement:
    """Measure the share of the power above 2 kHz, 0 .. 1."""
    return HIGH_FREQUENCY_RATIO.of(clip)
