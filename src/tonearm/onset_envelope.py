"""Onset envelope: spectral flux as the mean rise over 128 mel bands, at 16 kHz with an 8-ms hop.

Conventions: frame t is the rise between the two windows that end at about 8 t ms, so that it is the
time of an onset that has just entered the later window. The first `FIRST_FRAME` frames are 0: there,
a window reaches before the first sample, and the rise would be that of the padding into the music.
An envelope whose largest rise is under `STEADY_DB` is 0 throughout: users of an envelope compare
rises with the largest one, and would find onsets and beats in a steady sound. The largest rise of
tones, chords and white noise is 0 to 0.5 dB, of pocket's takes 1.6 dB and more.

Source: Böck & Widmer 2013, as implemented by `librosa.onset.onset_strength`.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.frame_levels import is_sounding

ENVELOPE_SAMPLE_RATE = 16_000
ENVELOPE_FRAME = 2048  # samples: 128 ms
ENVELOPE_HOP = 128  # samples: 8 ms; librosa's default of 512 does not separate 180 from 184 BPM
FIRST_FRAME = ENVELOPE_FRAME // ENVELOPE_HOP + 1  # 136 ms: the first rise between two whole windows

STEADY_DB = 0.6


def onset_envelope(clip: Clip) -> np.ndarray:
    """Compute the onset strength of a clip.

    Returns:
        float32 [F] in dB, one frame per 8 ms; zeros for silence, steady sounds, and clips shorter
            than 128 ms.
    """
    mono = Clip(clip.mono, clip.sample_rate).resampled(ENVELOPE_SAMPLE_RATE).samples[0]
    return envelope_of_samples(mono, is_sounding(clip))


def envelope_of_samples(mono: np.ndarray, sounding: bool) -> np.ndarray:
    """Compute the onset strength of mono samples at 16 kHz.

    Args:
        mono: float32 [N] at `ENVELOPE_SAMPLE_RATE`.
        sounding: False for a clip without sound to measure.

    Returns:
        float32 [F], as `onset_envelope`.
    """
    if mono.size < ENVELOPE_FRAME or not sounding:
        return np.zeros(1 + mono.size // ENVELOPE_HOP, np.float32)
    from librosa.onset import onset_strength

    envelope = onset_strength(
        y=mono / np.abs(mono).max(),
        sr=ENVELOPE_SAMPLE_RATE,
        n_fft=ENVELOPE_FRAME,
        hop_length=ENVELOPE_HOP,
    )
    envelope[:FIRST_FRAME] = 0
    return envelope if envelope.max() >= STEADY_DB else np.zeros_like(envelope)
