"""Melody conditioning: the one-hot chromagram of the melody checkpoints."""

import torch

from tonearm.audio import Clip, check_audible
from tonearm.backend import ModelShape
from tonearm.errors import TonearmError

MIN_MELODY_SECONDS = 0.5
CHROMA_FFT, CHROMA_HOP, CHROMA_RATE = 16_384, 4_096, 32_000  # of the released melody checkpoints


def check_melody(shape: ModelShape, melody: Clip) -> None:
    """Raise TonearmError if the checkpoint takes no melody, or the melody is too short or silent."""
    if not shape.text_in_prefix:
        raise TonearmError(
            f"{shape.name} takes no melody; use a melody checkpoint such as facebook/musicgen-melody"
        )
    if not shape.melody_trained:
        raise TonearmError(
            f"{shape.name} was not trained to follow a melody; use facebook/musicgen-melody "
            "or omit the melody"
        )
    check_audible(melody, "the melody", MIN_MELODY_SECONDS, channels=1)


def chromagram(melody: Clip, num_chroma: int = 12, frames: int | None = None) -> torch.Tensor:
    """One-hot strongest pitch class per window, float32 [frames, 12].

    Equal to transformers' MusicgenMelodyFeatureExtractor, which needs torchaudio (Copet et al.
    2023, 3.2).

    Args:
        melody: audio.
        num_chroma: pitch classes.
        frames: windows that are needed; no more of the melody is transformed than they cover.
    """
    from transformers.audio_utils import chroma_filter_bank

    if frames is not None:
        melody = melody.first((frames * CHROMA_HOP + CHROMA_FFT) / CHROMA_RATE)
    samples = torch.from_numpy(melody.resampled(CHROMA_RATE).with_channels(1).samples[0])
    if len(samples) < CHROMA_FFT:
        missing = CHROMA_FFT - len(samples)
        samples = torch.nn.functional.pad(samples, (missing // 2, missing - missing // 2))
    window = torch.hann_window(CHROMA_FFT)
    spectrum = torch.stft(samples, CHROMA_FFT, CHROMA_HOP, window=window, return_complex=True)
    power = spectrum.abs().pow(2) / window.pow(2).sum()
    filters = chroma_filter_bank(
        sampling_rate=CHROMA_RATE, num_frequency_bins=CHROMA_FFT, tuning=0, num_chroma=num_chroma
    )
    strongest = (torch.from_numpy(filters).float() @ power).T.argmax(-1)
    return torch.nn.functional.one_hot(strongest[:frames], num_chroma).float()
