"""How far decoded audio is from its original: complex spectra first, so that pitch and phase survive, log magnitudes beside them.

FluidSynth repeats itself to the sample and every note starts on a frame, so that a note has one waveform on the frame grid; a loss
that sees the phase can therefore be met, and its gradient is far better than that of magnitudes. Long windows resolve the partials of
notes (4096 at 16 kHz: 4 Hz), short ones the attack of drums. Both sides are divided by the original's level, so that soft clips count
as much as loud ones.
"""

from functools import cache

import librosa
import torch

from recipes.pocket.render import SAMPLE_RATE

COMPLEX_SIZES = (512, 2048)
MAGNITUDE_SIZES = (256, 1024, 4096)
COMPRESSION = 0.5  # exponent of magnitudes in the complex loss: weak partials count too
FLOOR = 1e-2  # below it the complex loss is linear
LOG_FLOOR = 2e-3
PHASE_BELOW = 0.3  # of the Nyquist frequency: 2.4 kHz
BAND_SIZE, BANDS = 1024, 64
SQUARED_WEIGHT, MAGNITUDE_WEIGHT, BAND_WEIGHT = 0.2, 0.4, 1.0


def coherent_loss(decoded: torch.Tensor, original: torch.Tensor, below: float = 1.0) -> torch.Tensor:
    """Complex spectra below a share of the Nyquist frequency, [B, 1, T]: L1 of X |X|^(COMPRESSION - 1), and the squared error of X."""
    decoded, original = _levelled(decoded, original)
    loss = torch.zeros((), device=decoded.device)
    for size in COMPLEX_SIZES:
        ours, theirs = (_spectrum(x, size)[:, : round(below * size / 2)] for x in (decoded, original))
        compressed = 2 * (_compressed(ours) - _compressed(theirs)).abs().mean()
        squared = (ours - theirs).pow(2).sum(-1).mean()
        loss = loss + (compressed + SQUARED_WEIGHT * squared) / len(COMPLEX_SIZES)
    return loss


def magnitude_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Magnitudes, bin by bin; the mean of three resolutions; [B, 1, T]."""
    decoded, original = _levelled(decoded, original)
    loss = torch.zeros((), device=decoded.device)
    for size in MAGNITUDE_SIZES:
        ours, theirs = (_power(_spectrum(x, size), LOG_FLOOR) for x in (decoded, original))
        loss = loss + _apart(ours, theirs) / len(MAGNITUDE_SIZES)
    return loss


def band_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Energies of mel bands, [B, 1, T]: noise of the right colour and level where single bins cannot be told."""
    decoded, original = _levelled(decoded, original)
    mel = _mel().to(decoded.device)
    ours, theirs = (mel @ _power(_spectrum(x, BAND_SIZE), LOG_FLOOR) for x in (decoded, original))
    return _apart(ours, theirs)


def reconstruction_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """The phase only where it can be told: above, where a few bits a frame cannot hold it, a complex loss is least for silence."""
    return (
        coherent_loss(decoded, original, PHASE_BELOW)
        + MAGNITUDE_WEIGHT * magnitude_loss(decoded, original)
        + BAND_WEIGHT * band_loss(decoded, original)
    )


def _apart(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """L1 of log magnitudes and, since it is deaf to rare peaks, of compressed ones; both from power."""
    peaks = 2 * (ours.pow(COMPRESSION / 2) - theirs.pow(COMPRESSION / 2)).abs().mean()
    return peaks + (ours.log() - theirs.log()).abs().mean() / 2


@cache
def _mel() -> torch.Tensor:
    """[BANDS, bins], each band a mean over bins."""
    filters = torch.from_numpy(librosa.filters.mel(sr=SAMPLE_RATE, n_fft=BAND_SIZE, n_mels=BANDS, norm=None))
    return filters / filters.sum(1, keepdim=True)


def _levelled(decoded: torch.Tensor, original: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    level = original.pow(2).mean(-1, keepdim=True).sqrt() + 1e-3
    return (decoded / level).squeeze(1), (original / level).squeeze(1)


def _spectrum(samples: torch.Tensor, size: int) -> torch.Tensor:
    """[B, T] -> [B, bins, frames, 2]."""
    window = torch.hann_window(size, device=samples.device)
    spectrum = torch.stft(
        samples, size, size // 4, window=window, center=False, normalized=True, return_complex=True
    )  # fmt: skip
    return torch.view_as_real(spectrum)


def _power(spectrum: torch.Tensor, floor: float) -> torch.Tensor:
    return spectrum.pow(2).sum(-1) + floor**2


def _compressed(spectrum: torch.Tensor) -> torch.Tensor:
    return spectrum * _power(spectrum, FLOOR).pow((COMPRESSION - 1) / 2)[..., None]
