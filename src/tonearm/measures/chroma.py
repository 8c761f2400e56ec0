"""Mean chroma of a clip: the strength of each pitch class.

Conventions: mono at 16 kHz; constant-Q magnitudes over seven octaves from C1, 64-ms hop, tuned to
the clip; the square root of the magnitudes is averaged, so that one loud note does not dominate.

Estimator: `librosa.feature.chroma_cqt`, `librosa.estimate_tuning`.
"""

import numpy as np

CHROMA_SAMPLE_RATE = 16_000
CHROMA_HOP = 1024  # samples: 64 ms
MIN_CHROMA_SECONDS = 2.0  # length of the lowest filter
BINS_PER_SEMITONE = 3


def chroma_of_samples(mono: np.ndarray) -> np.ndarray:
    """Average the chroma of mono samples [N] at 16 kHz: float64 [12], from C."""
    from librosa import estimate_tuning
    from librosa.feature import chroma_cqt

    # By default, librosa tunes to the nearest third of a semitone: music that is 30 cents sharp
    # smears over two pitch classes.
    tuning = BINS_PER_SEMITONE * estimate_tuning(y=mono, sr=CHROMA_SAMPLE_RATE)
    chroma = chroma_cqt(
        y=mono,
        sr=CHROMA_SAMPLE_RATE,
        hop_length=CHROMA_HOP,
        norm=None,
        bins_per_octave=12 * BINS_PER_SEMITONE,
        tuning=tuning,
    )
    return np.sqrt(chroma).mean(1, dtype=np.float64)
