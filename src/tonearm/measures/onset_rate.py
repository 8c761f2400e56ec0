"""Onsets: how many notes or hits start per second.

Aim: how dense or busy a clip is, whatever its tempo.

Conventions: onsets per second of the whole clip. The channels are mixed to mono; all clips are brought to 16 kHz, so
that the sample rate of a clip does not change what counts as an onset, and to a peak of 1, so that gain does not. An
onset is a rise against the frame before it: what sounds from the very first sample on is not counted. None for silence
and for clips under 128 ms.

Estimator: spectral flux, the mean rise over 128 mel bands (Böck & Widmer 2013, as in `librosa.onset.onset_strength`),
every 8 ms; peaks picked by `librosa.onset.onset_detect` at its defaults.
"""

from tonearm.audio import Clip
from tonearm.measures.measurement import Measurement
from tonearm.onset_envelope import ENVELOPE_HOP, ENVELOPE_SAMPLE_RATE, onset_envelope

PROTOCOL = "librosa onset_detect on mel spectral flux at 16 kHz, 8-ms hop, per second of the clip"


def measure_onset_rate(clip: Clip) -> Measurement:
    """Onsets per second."""
    envelope = onset_envelope(clip)
    if not envelope.any():
        return Measurement("onset_rate", None, "1/s", PROTOCOL)
    from librosa.onset import onset_detect

    onsets = onset_detect(onset_envelope=envelope, sr=ENVELOPE_SAMPLE_RATE, hop_length=ENVELOPE_HOP)
    return Measurement("onset_rate", len(onsets) / clip.seconds, "1/s", PROTOCOL)
