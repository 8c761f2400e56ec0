"""How far decoded audio is from its original: complex spectra first, so that pitch and phase survive, log magnitudes beside them.

FluidSynth repeats itself to the sample and every note starts on a frame, so that a note has one waveform on the frame grid; a loss
that sees the phase can therefore be met, and its gradient is far better than that of magnitudes. Long windows resolve the partials of
notes (4096 at 16 kHz: 4 Hz), short ones the attack of drums. Both sides are divided by the original's level, so that soft clips count
as much as loud ones.

`reconstruction_loss` raises the codec. `polishing_loss` is for its decoder alone, once the codes are fixed (polish.py): L1 of logarithms asks for
a median, and where codes leave open how loud a peak is, the median is quiet and smooth, so that everything above 1.4 kHz came out 4 to 12 dB too low.
"""

from functools import cache
from itertools import pairwise

import librosa
import numpy as np
import torch
import torch.nn.functional as F

from recipes.pocket.render import SAMPLE_RATE

COMPLEX_SIZES = (512, 2048)
MAGNITUDE_SIZES = (256, 1024, 4096)
COMPRESSION = 0.5  # exponent of magnitudes in the complex loss: weak partials count too
FLOOR = 1e-2  # below it the complex loss is linear
LOG_FLOOR = 2e-3
PHASE_BELOW = 0.3  # of the Nyquist frequency: 2.4 kHz
BAND_SIZE, BANDS = 1024, 64
SQUARED_WEIGHT, MAGNITUDE_WEIGHT, BAND_WEIGHT = 0.2, 0.4, 1.0
# STFT size: bins x frames within which magnitudes may change places
PATCHES = {128: (4, 16), 512: (8, 8), 2048: (16, 4)}
POLISHING_PHASE_BELOW = 0.2
CARRIERS = (2400, 4000, 6000, 8000)  # Hz, edges
ENVELOPE_RATE, MODULATION_BAND = 1600, 12.5  # Hz
MODULATION_FLOOR = 1e-3


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


def magnitude_loss(decoded: torch.Tensor, original: torch.Tensor, above: float = 1.0) -> torch.Tensor:
    """Magnitudes, bin by bin, those beyond PHASE_BELOW weighted by `above`; the mean of three resolutions; [B, 1, T]."""
    decoded, original = _levelled(decoded, original)
    loss = torch.zeros((), device=decoded.device)
    for size in MAGNITUDE_SIZES:
        ours, theirs = (_power(_spectrum(x, size), LOG_FLOOR) for x in (decoded, original))
        limit, bins = round(PHASE_BELOW * size / 2), size / 2 + 1
        low, high = _apart(ours[:, :limit], theirs[:, :limit]), _apart(ours[:, limit:], theirs[:, limit:])
        loss = loss + (low * limit + above * high * (bins - limit)) / bins / len(MAGNITUDE_SIZES)
    return loss


def bands(decoded: torch.Tensor, original: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies of mel bands of the two, [B, 1, T], as loud as the original is: [B, BANDS, frames] each."""
    decoded, original = _levelled(decoded, original)
    mel = _mel().to(decoded.device)
    ours, theirs = (mel @ _power(_spectrum(x, BAND_SIZE), LOG_FLOOR) for x in (decoded, original))
    return ours, theirs


def band_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Energies of mel bands, [B, 1, T]: noise of the right colour and level where single bins cannot be told."""
    return _apart(*bands(decoded, original))


def peak_loss(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Squared error of compressed energies of `bands`: least for a mean, and a rare peak counts."""
    return (ours.pow(COMPRESSION / 2) - theirs.pow(COMPRESSION / 2)).pow(2).mean()


def colour_loss(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """L1 of the logarithm of each of `bands`' mean energy over the crop: as loud as it was, wherever that falls."""
    return (ours.mean(-1).log() - theirs.mean(-1).log()).abs().mean()


def texture_loss(decoded: torch.Tensor, original: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Magnitudes beyond PHASE_BELOW, sorted within small patches of time and frequency; the mean of three resolutions; [B, 1, T].

    The distance of two sorted sets is Wasserstein's: each patch shall hold as many loud and soft bins as the original's, in any order. Bin by bin,
    noise is best met by its smooth median, which no noise has.
    """
    decoded, original = _levelled(decoded, original)
    loss = torch.zeros((), device=decoded.device)
    for size, patch in PATCHES.items():
        limit, begin = round(PHASE_BELOW * size / 2), rng.integers(patch)
        ours, theirs = (
            _sorted_patches(_power(_spectrum(x, size)[:, limit:], LOG_FLOOR), patch, begin) for x in (decoded, original)
        )
        loss = loss + _apart(ours, theirs) / len(PATCHES)
    return loss


def reconstruction_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """The phase only where it can be told: above, where a few bits a frame cannot hold it, a complex loss is least for silence."""
    return (
        coherent_loss(decoded, original, PHASE_BELOW)
        + MAGNITUDE_WEIGHT * magnitude_loss(decoded, original)
        + BAND_WEIGHT * band_loss(decoded, original)
    )


def modulation_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """L1 of the log power of envelopes' spectra, from 6 to 800 Hz in bands of MODULATION_BAND, for each carrier band, [B, 1, T].

    A network that works at 100 Hz and has no source of noise fills the upper bands with a pattern that comes back every 10 ms: a buzz, whose
    magnitudes are right in every frame, and whose envelope has lines that no music has (after the textures of McDermott and Simoncelli 2011).
    """
    decoded, original = _levelled(decoded, original)
    return (_modulations(decoded) - _modulations(original)).abs().mean()


def polishing_loss(decoded: torch.Tensor, original: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Levels first, and the phase where it is there already."""
    energies = bands(decoded, original)
    return (
        0.6 * coherent_loss(decoded, original, POLISHING_PHASE_BELOW)
        + MAGNITUDE_WEIGHT * magnitude_loss(decoded, original, above=0.15)
        + 2.0 * _apart(*energies)
        + 4.0 * peak_loss(*energies)
        + colour_loss(*energies)
        + 0.5 * modulation_loss(decoded, original)
        + 0.7 * texture_loss(decoded, original, rng)
    )


def _apart(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """L1 of log magnitudes and, since it is deaf to rare peaks, of compressed ones; both from power."""
    peaks = 2 * (ours.pow(COMPRESSION / 2) - theirs.pow(COMPRESSION / 2)).abs().mean()
    return peaks + (ours.log() - theirs.log()).abs().mean() / 2


def _sorted_patches(power: torch.Tensor, patch: tuple[int, int], begin: np.ndarray) -> torch.Tensor:
    """[B, bins, frames] -> [B, patches, bins a patch * frames a patch], sorted; what is left over at the edges is dropped."""
    height, width = patch
    power = power[:, begin[0] :, begin[1] :]
    rows, bins, frames = power.shape
    power = power[:, : bins // height * height, : frames // width * width]
    patches = power.reshape(rows, bins // height, height, frames // width, width).transpose(2, 3)
    return patches.reshape(rows, -1, height * width).sort(-1).values


def _modulations(samples: torch.Tensor) -> torch.Tensor:
    """[B, T] -> log power, [B, carriers, modulation bands]."""
    length = samples.shape[-1]
    spectrum, hertz = torch.fft.rfft(samples), torch.fft.rfftfreq(length, 1 / SAMPLE_RATE, device=samples.device)
    carriers = []
    for low, high in pairwise(CARRIERS):
        carrier = torch.fft.irfft(spectrum * ((hertz >= low) & (hertz < high)), n=length)
        envelope = F.avg_pool1d(carrier.pow(2)[:, None], SAMPLE_RATE // ENVELOPE_RATE)[:, 0] + LOG_FLOOR**2
        frames = envelope.shape[-1]
        envelope = (envelope / envelope.mean(-1, keepdim=True) - 1) * torch.hann_window(frames, device=samples.device)
        power = torch.fft.rfft(envelope).abs().pow(2) / frames
        width = round(MODULATION_BAND * frames / ENVELOPE_RATE)
        power = power[:, width // 2 :]
        power = power[:, : power.shape[1] // width * width].reshape(len(power), -1, width).mean(-1)
        carriers.append((power + MODULATION_FLOOR).log())
    return torch.stack(carriers, 1)


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
