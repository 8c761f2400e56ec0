"""Onset rate by a second detector, SuperFlux, beside `onset_rate`.

Aim: a density that two detectors agree on.

Estimator: rise of each of 138 mel bands over the largest of the band and its two neighbours 20 ms
earlier, averaged over bands, so that vibrato and a moving partial are no onset (16 kHz, 64-ms Hann
frames, 10-ms hop); peaks picked by `librosa.onset.onset_detect` at its defaults, whose threshold is
relative to the largest rise. Over the true rate of 100 rendered pieces (1.3 to 8.6 per second) it
has a slope of 0.62 [0.50, 0.76].

Conventions: onsets per second of the clip without its first 90 ms, in which a rise may be that of
the file's start. Channels mixed to mono, scaled to a peak of 1. 0 for a steady sound, whose largest
rise is under 1.5 dB; None for silence and for clips shorter than 256 ms.

Source: Böck & Widmer 2013, "Maximum filter vibrato suppression for onset detection", as
implemented by `librosa.onset.onset_strength(lag=2, max_size=3)`.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement
from tonearm.measures.onset_rate import MIN_ONSET_SECONDS

SAMPLE_RATE = 16_000
FRAME, HOP = 1024, 160  # samples: 64 and 10 ms
LAG, MAX_SIZE = 2, 3  # frames, bands
BANDS = 138
FIRST_FRAME = 9  # 90 ms: the first rise between two whole frames is at 84 ms
STEADY_DB = 1.5  # noise has 1.1, sines 1.1, the stillest of pocket's takes 1.7


def estimate_onset_rate_superflux(analysis: ClipAnalysis) -> float | None:
    """Estimate the onsets per second."""
    seconds = analysis.clip.seconds
    if seconds < MIN_ONSET_SECONDS or not analysis.is_sounding:
        return None
    from librosa.onset import onset_detect, onset_strength

    mono = analysis.resampled_mono(SAMPLE_RATE)
    envelope = onset_strength(
        y=mono / np.abs(mono).max(),
        sr=SAMPLE_RATE,
        lag=LAG,
        max_size=MAX_SIZE,
        n_fft=FRAME,
        hop_length=HOP,
        n_mels=BANDS,
    )[FIRST_FRAME:]
    if envelope.max(initial=0.0) < STEADY_DB:
        return 0.0
    onsets = onset_detect(onset_envelope=envelope, sr=SAMPLE_RATE, hop_length=HOP)
    # A first frame that is the largest is the decay of an earlier rise, or an unknown one.
    return float(np.count_nonzero(onsets)) / (seconds - FIRST_FRAME * HOP / SAMPLE_RATE)


ONSET_RATE_SUPERFLUX = Measure(
    "onset_rate_superflux",
    "1/s",
    "librosa onset_detect on SuperFlux (lag 2, max_size 3, 138 mel bands) at 16 kHz, 10-ms hop, "
    "per second after 90 ms",
    estimate_onset_rate_superflux,
)


def measure_onset_rate_superflux(clip: Clip) -> Measurement:
    """Measure the onsets per second by SuperFlux."""
    return ONSET_RATE_SUPERFLUX.of(clip)
