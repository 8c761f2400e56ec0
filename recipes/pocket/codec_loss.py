"""Losses of decoded audio against its original.

Complex spectra for pitch and phase, and log magnitudes.

FluidSynth is deterministic and every note starts on a frame, so a note has one waveform on the
frame grid. A loss that sees the phase can therefore reach zero, and its gradient is far better than
that of magnitudes. Long windows resolve the partials of notes (4096 samples at 16 kHz: 4 Hz), short
ones the attack of drums. Both sides are divided by the level of the original, so that soft clips
have the same weight as loud ones.

`reconstruction_loss` trains the complete codec. `finetune_loss` trains its decoder with fixed codes
(codec_finetune.py). The L1 distance of logarithms is minimal at a median. Where the codes leave the
level of a peak open, the median is quiet and smooth, and everything above 1.4 kHz came out 4 to 12
dB too low.
"""

from functools import cache
from itertools import pairwise

import librosa
import numpy as np
import torch
import torch.nn.functional as F

from tonearm.datasets.rendering.synthesizer import SAMPLE_RATE

COMPLEX_SIZES = (512, 2048)
MAGNITUDE_SIZES = (256, 1024, 4096)
COMPRESSION = 0.5  # exponent of magnitudes in the complex loss; weak partials count too
FLOOR = 1e-2  # below it the complex loss is linear
LOG_FLOOR = 2e-3
PHASE_BELOW = 0.3  # of the Nyquist frequency: 2.4 kHz
BAND_SIZE, BANDS = 1024, 64
SQUARED_WEIGHT, MAGNITUDE_WEIGHT, BAND_WEIGHT = 0.2, 0.4, 1.0
# STFT size: bins x frames within which magnitudes may permute
PATCHES = {128: (4, 16), 512: (8, 8), 2048: (16, 4)}
FINETUNE_PHASE_BELOW = 0.2
CARRIERS = (2400, 4000, 6000, 8000)  # Hz, edges
ENVELOPE_RATE, MODULATION_BAND = 1600, 12.5  # Hz
MODULATION_FLOOR = 1e-3


def coherent_loss(
    decoded: torch.Tensor, original: torch.Tensor, below: float = 1.0
) -> torch.Tensor:
    """Distance of complex spectra: L1 of X |X|^(COMPRESSION - 1), and the squared error of X.

    Args:
        decoded: [B, 1, T].
        original: [B, 1, T].
        below: upper limit as a share of the Nyquist frequency.

    Returns:
        Scalar loss.
    """
    decoded, original = _normalise_level(decoded, original)
    loss = torch.zeros((), device=decoded.device)
    for size in COMPLEX_SIZES:
        ours, theirs = (
            _spectrum(x, size)[:, : round(below * size / 2)] for x in (decoded, original)
        )
        compressed = 2 * (_compressed(ours) - _compressed(theirs)).abs().mean()
        squared = (ours - theirs).pow(2).sum(-1).mean()
        loss = loss + (compressed + SQUARED_WEIGHT * squared) / len(COMPLEX_SIZES)
    return loss


def magnitude_loss(
    decoded: torch.Tensor, original: torch.Tensor, above: float = 1.0
) -> torch.Tensor:
    """Distance of magnitudes per bin, mean of three resolutions.

    Args:
        decoded: [B, 1, T].
        original: [B, 1, T].
        above: weight of the bins beyond PHASE_BELOW.

    Returns:
        Scalar loss.
    """
    decoded, original = _normalise_level(decoded, original)
    loss = torch.zeros((), device=decoded.device)
    for size in MAGNITUDE_SIZES:
        ours, theirs = (_power(_spectrum(x, size), LOG_FLOOR) for x in (decoded, original))
        limit, bins = round(PHASE_BELOW * size / 2), size / 2 + 1
        low, high = (
            _log_and_compressed_l1(ours[:, :limit], theirs[:, :limit]),
            _log_and_compressed_l1(ours[:, limit:], theirs[:, limit:]),
        )
        loss = loss + (low * limit + above * high * (bins - limit)) / bins / len(MAGNITUDE_SIZES)
    return loss


def bands(decoded: torch.Tensor, original: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mel band energies of both at the level of the original: [B, BANDS, frames] each.

    Both inputs are [B, 1, T].
    """
    decoded, original = _normalise_level(decoded, original)
    mel = _mel().to(decoded.device)
    ours, theirs = (mel @ _power(_spectrum(x, BAND_SIZE), LOG_FLOOR) for x in (decoded, original))
    return ours, theirs


def band_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Distance of mel band energies, [B, 1, T].

    It fixes spectrum and level of noise, whose bins are unpredictable.
    """
    return _log_and_compressed_l1(*bands(decoded, original))


def peak_loss(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Squared error of compressed band energies: minimal at a mean, so rare peaks count."""
    return (ours.pow(COMPRESSION / 2) - theirs.pow(COMPRESSION / 2)).pow(2).mean()


def spectral_balance_loss(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """L1 of the log mean energy per band over the crop, independent of when the energy occurs."""
    return (ours.mean(-1).log() - theirs.mean(-1).log()).abs().mean()


def texture_loss(
    decoded: torch.Tensor, original: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Distance of sorted magnitudes beyond PHASE_BELOW; mean of three resolutions.

    Magnitudes are sorted within small patches of time and frequency.

    The distance of two sorted sets is the Wasserstein distance: each patch must contain as many
    loud and soft bins as that of the original, in any order. Per bin, the best prediction of noise
    is its smooth median, which no noise has.

    Args:
        decoded: [B, 1, T].
        original: [B, 1, T].
        rng: draws the offset of the patches.

    Returns:
        Scalar loss.
    """
    decoded, original = _normalise_level(decoded, original)
    loss = torch.zeros((), device=decoded.device)
    for size, patch in PATCHES.items():
        limit, begin = round(PHASE_BELOW * size / 2), rng.integers(patch)
        ours, theirs = (
            _sorted_patches(_power(_spectrum(x, size)[:, limit:], LOG_FLOOR), patch, begin)
            for x in (decoded, original)
        )
        loss = loss + _log_and_compressed_l1(ours, theirs) / len(PATCHES)
    return loss


def reconstruction_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Loss of the complete codec.

    Its complex part ends at PHASE_BELOW: where the codes do not determine the phase, its minimum is
    silence.
    """
    return (
        coherent_loss(decoded, original, PHASE_BELOW)
        + MAGNITUDE_WEIGHT * magnitude_loss(decoded, original)
        + BAND_WEIGHT * band_loss(decoded, original)
    )


def modulation_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """L1 of the log power of envelope spectra, [B, 1, T].

    The range is 6 to 800 Hz in bands of MODULATION_BAND, per carrier band.

    A network at 100 Hz without a source of noise fills the upper bands with a pattern of period 10
    ms: a buzz whose magnitudes are right in every frame, and whose envelope has lines that no music
    has (after the textures of McDermott and Simoncelli 2011).
    """
    decoded, original = _normalise_level(decoded, original)
    return (_modulations(decoded) - _modulations(original)).abs().mean()


def finetune_loss(
    decoded: torch.Tensor, original: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Loss of the decoder with fixed codes.

    Mainly levels; the phase only where it is right already.
    """
    energies = bands(decoded, original)
    return (
        0.6 * coherent_loss(decoded, original, FINETUNE_PHASE_BELOW)
        + MAGNITUDE_WEIGHT * magnitude_loss(decoded, original, above=0.15)
        + 2.0 * _log_and_compressed_l1(*energies)
        + 4.0 * peak_loss(*energies)
        + spectral_balance_loss(*energies)
        + 0.5 * modulation_loss(decoded, original)
        + 0.7 * texture_loss(decoded, original, rng)
    )


def _log_and_compressed_l1(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """L1 of log magnitudes and of compressed ones, both from power.

    Log magnitudes are insensitive to rare peaks.
    """
    peaks = 2 * (ours.pow(COMPRESSION / 2) - theirs.pow(COMPRESSION / 2)).abs().mean()
    return peaks + (ours.log() - theirs.log()).abs().mean() / 2


def _sorted_patches(power: torch.Tensor, patch: tuple[int, int], begin: np.ndarray) -> torch.Tensor:
    """Return [B, patches, bins * frames of a patch], sorted, from [B, bins, frames].

    Incomplete patches are dropped.
    """
    height, width = patch
    power = power[:, begin[0] :, begin[1] :]
    rows, bins, frames = power.shape
    power = power[:, : bins // height * height, : frames // width * width]
    patches = power.reshape(rows, bins // height, height, frames // width, width).transpose(2, 3)
    return patches.reshape(rows, -1, height * width).sort(-1).values


def _modulations(samples: torch.Tensor) -> torch.Tensor:
    """Return log power [B, carriers, modulation bands] of [B, T]."""
    length = samples.shape[-1]
    spectrum, hertz = (
        torch.fft.rfft(samples),
        torch.fft.rfftfreq(length, 1 / SAMPLE_RATE, device=samples.device),
    )
    carriers = []
    for low, high in pairwise(CARRIERS):
        carrier = torch.fft.irfft(spectrum * ((hertz >= low) & (hertz < high)), n=length)
        envelope = (
            F.avg_pool1d(carrier.pow(2)[:, None], SAMPLE_RATE // ENVELOPE_RATE)[:, 0] + LOG_FLOOR**2
        )
        frames = envelope.shape[-1]
        envelope = (envelope / envelope.mean(-1, keepdim=True) - 1) * torch.hann_window(
            frames, device=samples.device
        )
        power = torch.fft.rfft(envelope).abs().pow(2) / frames
        width = round(MODULATION_BAND * frames / ENVELOPE_RATE)
        power = power[:, width // 2 :]
        power = power[:, : power.shape[1] // width * width].reshape(len(power), -1, width).mean(-1)
        carriers.append((power + MODULATION_FLOOR).log())
    return torch.stack(carriers, 1)


@cache
def _mel() -> torch.Tensor:
    """Return the mel filters, [BANDS, bins]; each band is a mean over bins."""
    filters = torch.from_numpy(
        librosa.filters.mel(sr=SAMPLE_RATE, n_fft=BAND_SIZE, n_mels=BANDS, norm=None)
    )
    return filters / filters.sum(1, keepdim=True)


def _normalise_level(
    decoded: torch.Tensor, original: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    level = original.pow(2).mean(-1, keepdim=True).sqrt() + 1e-3
    return (decoded / level).squeeze(1), (original / level).squeeze(1)


def _spectrum(samples: torch.Tensor, size: int) -> torch.Tensor:
    """Return the STFT, [B, bins, frames, 2], of [B, T]."""
    window = torch.hann_window(size, device=samples.device)
    spectrum = torch.stft(
        samples, size, size // 4, window=window, center=False, normalized=True, return_complex=True
    )
    return torch.view_as_real(spectrum)


def _power(spectrum: torch.Tensor, floor: float) -> torch.Tensor:
    return spectrum.pow(2).sum(-1) + floor**2


def _compressed(spectrum: torch.Tensor) -> torch.Tensor:
    return spectrum * _power(spectrum, FLOOR).pow((COMPRESSION - 1) / 2)[..., None]
