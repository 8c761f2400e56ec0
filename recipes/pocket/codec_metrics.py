"""Metrics of the codec on held-out pieces:

    python -m recipes.pocket.codec_metrics --out build/pocket
    python -m recipes.pocket.codec_metrics --out build/pocket --codec codec_finetuned

Pitch (chroma correlation), level of the spectrum, tone against noise, attack, brightness and phase;
pure functions of two clips of equal length.
"""

import argparse
from pathlib import Path

import librosa
import numpy as np
import torch
from transformers import EncodecModel

from recipes.pocket.corpus import as_float, load_audio
from recipes.pocket.evaluate import chroma_correlation
from tonearm.audio import Clip
from tonearm.datasets.rendering.synthesizer import SAMPLE_RATE
from tonearm.measures import measure_spectral_centroid

POWER_FLOOR = 1e-6  # of STFT power
ONSET_HOP = 256  # samples


def log_spectral_distance(original: Clip, decoded: Clip) -> float:
    """Log spectral distance in dB (Gray and Markel 1976).

    RMS over frequency, mean over frames of 2048 samples.
    """
    ours, theirs = (
        10 * np.log10(_spectrum(clip) ** 2 + POWER_FLOOR) for clip in (decoded, original)
    )
    return float(np.sqrt(((ours - theirs) ** 2).mean(0)).mean())


def harmonic_share(clip: Clip) -> float:
    """Energy of the harmonic part over that of both parts, 0 to 1.

    The parts are separated by median filters (Fitzgerald 2010).

    Tones are harmonic, noise and drums are not. The share falls where decoding turns tones into
    noise.
    """
    harmonic, percussive = (
        float((part**2).sum()) for part in librosa.decompose.hpss(_spectrum(clip))
    )
    return harmonic / max(harmonic + percussive, 1e-12)


def attack_correlation(original: Clip, decoded: Clip) -> float:
    """Pearson correlation of the onset-strength envelopes; 1 if all attacks are preserved.

    The envelopes are spectral flux in 16-ms steps.
    """
    pair = [
        librosa.onset.onset_strength(y=c.mono, sr=c.sample_rate, hop_length=ONSET_HOP)
        for c in (original, decoded)
    ]
    return float(np.corrcoef(*pair)[0, 1])


def signal_to_noise(original: Clip, decoded: Clip) -> float:
    """Energy of the original over that of the difference, in dB; the phase counts."""
    difference = float(((original.mono - decoded.mono) ** 2).sum())
    return float(10 * np.log10((original.mono**2).sum() / max(difference, 1e-12)))


def centroid_error(original: Clip, decoded: Clip) -> float:
    """Relative error of the spectral centroid."""
    before, after = (measure_spectral_centroid(clip).value or 0.0 for clip in (original, decoded))
    return abs(after / max(before, 1e-12) - 1)


@torch.inference_mode()
def reconstruct(codec: EncodecModel, original: Clip) -> Clip:
    """Encode and decode a clip."""
    samples = torch.from_numpy(original.mono)[None, None]
    codes = codec.encode(samples, bandwidth=codec.config.target_bandwidths[0]).audio_codes
    return Clip(codec.decode(codes, [None]).audio_values[0, 0].numpy(), original.sample_rate)


def _spectrum(clip: Clip) -> np.ndarray:
    return np.abs(librosa.stft(clip.mono, n_fft=2048, hop_length=512))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/pocket"))
    parser.add_argument("--pieces", type=int, default=60)
    parser.add_argument(
        "--codec",
        choices=["codec", "codec_finetuned"],
        default="codec",
        help="before or after its last stage",
    )
    arguments = parser.parse_args()
    codec = EncodecModel.from_pretrained(arguments.out / arguments.codec).eval()
    audio = as_float(load_audio(arguments.out / "corpus", "held-out", 0)[: arguments.pieces])
    measured: dict[str, list[float]] = {}
    for samples in audio:
        original = Clip(samples, SAMPLE_RATE)
        decoded = reconstruct(codec, original)
        for name, value in {
            "chroma correlation": chroma_correlation(original, decoded),
            "centroid error": centroid_error(original, decoded),
            "log spectral distance, dB": log_spectral_distance(original, decoded),
            "change of the harmonic share": harmonic_share(decoded) - harmonic_share(original),
            "attack correlation": attack_correlation(original, decoded),
            "signal to noise, dB": signal_to_noise(original, decoded),
        }.items():
            measured.setdefault(name, []).append(value)
    print(f"{len(audio)} held-out pieces {'mean':>14} {'median':>8} {'lowest':>8} {'highest':>8}")
    for name, values in measured.items():
        print(
            f"{name:30} {np.mean(values):8.3f} {np.median(values):8.3f} "
            f"{min(values):8.3f} {max(values):8.3f}"
        )


if __name__ == "__main__":
    main()
