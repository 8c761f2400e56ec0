"""Onset rate: notes or hits per second.

Aim: the density of a clip, independent of its tempo.

Conventions: onsets per second of the whole clip. Channels mixed to mono; resampled to 16 kHz and
scaled to a peak of 1, so that neither sample rate nor gain changes the onsets. An onset is a rise
over the previous frame: a sound that starts with the first sample is not counted. None for silence
and for clips shorter than 128 ms.

Estimator: spectral flux over 128 mel bands every 8 ms (`tonearm.onset_envelope`); peaks picked by
`librosa.onset.onset_detect` at its defaults.
"""

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement
from tonearm.onset_envelope import ENVELOPE_HOP, ENVELOPE_SAMPLE_RATE


def estimate_onset_rate(analysis: ClipAnalysis) -> float | None:
    envelope = analysis.onset_envelope
    if not envelope.any():
        return None
    from librosa.onset import onset_detect

    onsets = onset_detect(onset_envelope=envelope, sr=ENVELOPE_SAMPLE_RATE, hop_length=ENVELOPE_HOP)
    return len(onsets) / analysis.clip.seconds


ONSET_RATE = Measure(
    "onset_rate",
    "1/s",
    "librosa onset_detect on mel spectral flux at 16 kHz, 8-ms hop, per second of the clip",
    estimate_onset_rate,
)


def measure_onset_rate(clip: Clip) -> Measurement:
    """Measure the onsets per second."""
    return ONSET_RATE.of(clip)
