"""What a codec keeps of music, original against decoded: pitch, tone, attack, waveform.

Pure functions of two mono signals [N] of one length and sample rate; each names its measure and its unit.
"""

import librosa
import numpy as np

HOP = 256  # samples
POWER_FLOOR = 1e-6  # of STFT power, -60 dB re 1


def chroma_correlation(original: np.ndarray, decoded: np.ndarray, sample_rate: int) -> float:
    """Pearson correlation of the two constant-Q chromagrams [12, frames], all entries as one row (librosa's `chroma_cqt`); 1 is best."""
    pair = [librosa.feature.chroma_cqt(y=samples, sr=sample_rate).ravel() for samples in (original, decoded)]
    return float(np.corrcoef(*pair)[0, 1])


def log_spectral_distance(original: np.ndarray, decoded: np.ndarray) -> float:
    """Root mean square over frequency of the difference of log power, mean over frames of 2048 samples, in dB (Gray and Markel 1976)."""
    ours, theirs = (10 * np.log10(_spectrum(samples) ** 2 + POWER_FLOOR) for samples in (decoded, original))
    return float(np.sqrt(((ours - theirs) ** 2).mean(0)).mean())


def harmonic_share(samples: np.ndarray) -> float:
    """Energy of the harmonic part over that of both parts, after median-filter separation (Fitzgerald 2010); 0 to 1.

    A tone lies in it, noise and drums lie outside: where decoding turns tones into noise, it falls.
    """
    harmonic, percussive = librosa.decompose.hpss(_spectrum(samples))
    energies = [float((part**2).sum()) for part in (harmonic, percussive)]
    return energies[0] / max(sum(energies), 1e-12)


def attack_correlation(original: np.ndarray, decoded: np.ndarray, sample_rate: int) -> float:
    """Pearson correlation of the two onset-strength envelopes (spectral flux, 16 ms at 16 kHz); 1 where every attack is kept."""
    pair = [librosa.onset.onset_strength(y=s, sr=sample_rate, hop_length=HOP) for s in (original, decoded)]
    return float(np.corrcoef(*pair)[0, 1])


def signal_to_noise(original: np.ndarray, decoded: np.ndarray) -> float:
    """Energy of the original over that of the difference, in dB: the phase counts."""
    return float(10 * np.log10((original**2).sum() / max(float(((original - decoded) ** 2).sum()), 1e-12)))


def _spectrum(samples: np.ndarray) -> np.ndarray:
    return np.abs(librosa.stft(samples, n_fft=2048, hop_length=512))
