"""Input of the CLAP model.

Log-mel spectrogram by transformers' ClapFeatureExtractor, set for 16-kHz clips of ten seconds.
"""

import numpy as np
from transformers import ClapFeatureExtractor

from tonearm.audio import Clip

SAMPLE_RATE = 16_000  # pocket's
WINDOW_SECONDS = 10
HOP = 320  # 50 frames per second
WINDOW_FRAMES = WINDOW_SECONDS * SAMPLE_RATE // HOP + 1
MEL_BANDS = 128
FLOOR_DB = -100.0  # the extractor's own

EXTRACTOR = ClapFeatureExtractor(
    feature_size=MEL_BANDS,
    sampling_rate=SAMPLE_RATE,
    hop_length=HOP,
    max_length_s=WINDOW_SECONDS,
    fft_window_size=2048,
    frequency_min=20,
    frequency_max=SAMPLE_RATE // 2,
    truncation="rand_trunc",
    padding="repeatpad",
)


def clap_features(clip: Clip) -> np.ndarray:
    """Return log-mel in dB, float32 [T, 128], T = 1 + 50 per second, for a clip of any length."""
    mono = clip.resampled(SAMPLE_RATE).mono
    features = EXTRACTOR(
        mono, sampling_rate=SAMPLE_RATE, max_length=len(mono), return_tensors="np"
    ).input_features
    return np.asarray(features[0, 0], dtype=np.float32)
