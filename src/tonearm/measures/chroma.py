"""Chroma of a clip: the strength of each pitch class, over time and on average.

Conventions: mono at 16 kHz; constant-Q magnitudes over seven octaves from C1, 64-ms hop, tuned to
the clip; the square root of the magnitudes is averaged, so that one loud note does not dominate.

    frames   strength in each frame of 64 ms
    mean     mean of the frames, for `tonearm.measures.key`
    steps    mean of the frames centred in each 0.5 s, scaled to unit length; zero in a silent step

A step is silent where no 50 ms of it reach -60 dBFS. The filters of the lowest octave are up to 2 s
long, so that a bass note also counts in the steps next to its own.

Shapes: N samples, F frames, T whole steps; pitch classes from C.

Estimator: `librosa.feature.chroma_cqt`, `librosa.estimate_tuning`.
"""

import numpy as np

from tonearm.audio import Clip
from tonearm.frame_levels import FRAME_SECONDS, SILENCE_DBFS, frame_levels

CHROMA_SAMPLE_RATE = 16_000
CHROMA_HOP = 1024  # samples: 64 ms
MIN_CHROMA_SECONDS = 2.0  # length of the lowest filter
BINS_PER_SEMITONE = 3
STEP_SECONDS = 0.5
STEP_SAMPLES = round(STEP_SECONDS * CHROMA_SAMPLE_RATE)
LEVELS_PER_STEP = round(STEP_SECONDS / FRAME_SECONDS)

STEPS_PROTOCOL = (
    f"root of librosa constant-Q chroma tuned to the clip, hop {CHROMA_HOP} at "
    f"{CHROMA_SAMPLE_RATE} Hz, {BINS_PER_SEMITONE} bins per semitone, unit means over "
    f"{STEP_SECONDS} s, zero below {SILENCE_DBFS:g} dBFS"
)


def chroma_frames(mono: np.ndarray) -> np.ndarray:
    """Compute the chroma of mono samples [N] at 16 kHz: float32 [12, F]."""
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
    return np.sqrt(chroma)


def mean_of_frames(frames: np.ndarray) -> np.ndarray:
    """Average chroma frames [12, F] over time: float64 [12]."""
    return frames.mean(1, dtype=np.float64)


def steps_of_frames(frames: np.ndarray, mono: np.ndarray) -> np.ndarray:
    """Average chroma over steps of 0.5 s.

    Args:
        frames: chroma of the samples, [12, F].
        mono: the samples at 16 kHz, [N], which show the silent steps.

    Returns:
        Rows of unit length, or zero in silent steps, float64 [T, 12]; the rest of the clip after
        its last whole step is left out.
    """
    count = len(mono) // STEP_SAMPLES
    step_of_frame = np.arange(frames.shape[1]) * CHROMA_HOP // STEP_SAMPLES
    means = np.array([mean_of_frames(frames[:, step_of_frame == step]) for step in range(count)])
    levels = frame_levels(Clip(mono, CHROMA_SAMPLE_RATE)).dbfs[: count * LEVELS_PER_STEP]
    loudest = levels.reshape(count, LEVELS_PER_STEP).max(1, keepdims=True)
    return unit_or_zero(np.where(loudest >= SILENCE_DBFS, means.reshape(count, 12), 0.0))


def unit_or_zero(rows: np.ndarray) -> np.ndarray:
    """Scale rows [..., D] to unit length; a row of zeros stays zero."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
