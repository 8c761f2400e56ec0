"""Audio of a score at 22,050 Hz, and its copy decoded by pocket's codec."""

import numpy as np
import torch
from scipy import signal
from transformers import EncodecModel

from recipes.evaluators.scores import Score
from tonearm.audio import Clip
from tonearm.datasets.rendering.synthesizer import Renderer, master

SAMPLE_RATE = 22_050  # of the beat tracker; the CLAP model and the codec read 16 kHz


def render(renderer: Renderer, score: Score, frames: int) -> Clip:
    """Render a score.

    Args:
        renderer: synthesizer at SAMPLE_RATE.
        score: notes, programs and room.
        frames: length in frames of 40 ms.

    Returns:
        Mono clip of that length.
    """
    # a labelled lead must be audible
    play = renderer.mix if "lead" in score.labels else renderer.play
    dry = play(score.notes, score.programs, frames, score.kit)
    audio = dry + score.wet * _reverberation(dry, score.room) if score.room else dry
    return Clip(master(audio, score.brightness, score.dynamics, SAMPLE_RATE), SAMPLE_RATE)


def _reverberation(dry: np.ndarray, seconds: float) -> np.ndarray:
    """Return reverberation as loud as `dry`.

    Noise that decays by 60 dB in `seconds` (Moorer 1979), after 15 ms.
    """
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    response = np.random.default_rng(0).standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    response[: round(0.015 * SAMPLE_RATE)] = 0
    wet = signal.fftconvolve(dry, response)[: len(dry)]
    return wet * np.sqrt(np.mean(dry**2) / (np.mean(wet**2) + 1e-12))


@torch.inference_mode()
def through_codec(codec: EncodecModel, clips: list[Clip]) -> list[Clip]:
    """Encode and decode clips of equal length; the results are at the codec's sample rate."""
    rate = codec.config.sampling_rate
    samples = torch.from_numpy(np.stack([clip.resampled(rate).mono for clip in clips]))[:, None]
    with torch.autocast("cpu", torch.bfloat16):
        codes = codec.encode(samples, bandwidth=codec.config.target_bandwidths[0]).audio_codes
        decoded = codec.decode(codes, [None]).audio_values
    return [Clip(audio.numpy(), rate) for audio in decoded.float()]
