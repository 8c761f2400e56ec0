"""Onset rate: notes or hits per second.

Aim: the density of a clip, independent of its tempo.

Conventions: onsets per second of the clip without its first 136 ms, in which a rise may be that of
the file's start; a sound that starts with the first sample is not counted. Channels mixed to mono;
resampled to 16 kHz and scaled to a peak of 1, so that neither sample rate nor gain changes the
onsets. 0 for a steady sound; None for silence and for clips shorter than 256 ms.

Estimator: spectral flux over 128 mel bands every 8 ms (`tonearm.onset_envelope`); peaks picked by
`librosa.onset.onset_detect` at its defaults, whose threshold is relative to the largest rise. Over
the true rate of 100 rendered pieces (1.3 to 8.6 per second) it has a slope of 0.67 [0.56, 0.79].
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement
from tonearm.onset_envelope import ENVELOPE_HOP, ENVELOPE_SAMPLE_RATE, FIRST_FRAME

MIN_ONSET_SECONDS = 0.256
START_SECONDS = FIRST_FRAME * ENVELOPE_HOP / ENVELOPE_SAMPLE_RATE


def estimate_onset_rate(analysis: ClipAnalysis) -> float | None:
    seconds, envelope = analysis.clip.seconds, analysis.onset_envelope[FIRST_FRAME:]
    if seconds < MIN_ONSET_SECONDS or not analysis.is_sounding:
        return None
    if not envelope.any():
        return 0.0
    from librosa.onset import onset_detect

    onsets = onset_detect(onset_envelope=envelope, sr=ENVELOPE_SAMPLE_RATE, hop_length=ENVELOPE_HOP)
    # A first frame that is the largest is the decay of an earlier rise, or an unknown one.
    return float(np.count_nonzero(onsets)) / (seconds - START_SECONDS)


ONSET_RATE = Measure(
    "onset_rate",
    "1/s",
    "librosa onset_detect on mel spectral flux at 16 kHz, 8-ms hop, per second after 136 ms",
    estimate_onset_rate,
)


def measure_onset_rate(clip: Clip) -> Measurement:
    """Measure the onsets per second."""
    return ONSET_RATE.of(clip)
