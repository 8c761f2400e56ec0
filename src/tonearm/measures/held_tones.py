"""Held tones: the longest tone without a new attack, and the share of tonal energy in long tones.

Aim: to detect a take that is stuck on a note. A repeated note is not a held one: an attack ends a
tone, so that a bass pedal struck on every beat, or a chord struck again, stays short.

Estimator, at 16 kHz and a hop of 32 ms:

- a peak is a local maximum of the magnitude spectrum (256-ms Hann frames, 60 Hz to 4 kHz, parabolic
  interpolation) 6 dB above the mean power within 39 Hz (without its main lobe) and within 30 dB
  of the clip's loud peaks, the 95th percentile of the loudest peak of each frame;
- a tone is a sequence of peaks within a quarter of a semitone and 12 Hz of the first one, with at
  most one frame missing;
- an attack is a rise by 7 dB of the level around the tone (three bins of 128-ms frames) from the
  mean of 128 ms to the mean of the next 128 ms; it ends the tone, and begins another.

Conventions: `held_tone` is the longest tone whose mean power is within 15 dB of the loud peaks, in
seconds; fainter ones are resonances rather than notes. `held_share` is the energy of the peaks of
tones of 4 s or more over that of all tones of 0.25 s or more. Channels mixed to mono; neither
measure depends on gain. Both are None for silence and for clips under 0.5 s, and 0 in noise.

Source: sinusoidal tracks after McAulay & Quatieri 1986, with an end at an attack.
"""

from dataclasses import dataclass

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.base import ClipAnalysis, Measure, Measurement

SAMPLE_RATE = 16_000
HOP = 512  # samples: 32 ms
HOP_SECONDS = HOP / SAMPLE_RATE
PEAK_FRAME, ATTACK_FRAME = 4096, 2048  # samples: 256 and 128 ms
LOWEST_HZ, HIGHEST_HZ = 60.0, 4000.0
PEAK_RANGE_DB = 30.0  # below the clip's loud peaks
HELD_RANGE_DB = 15.0  # likewise, of a whole tone
PROMINENCE = 10**0.6  # 6 dB, in power
SURROUNDING_BINS, LOBE_BINS = 10, 2  # on either side: 39 and 8 Hz
TOLERANCE, TOLERANCE_HZ = 2 ** (0.25 / 12), 12.0
ATTACK_DB = 7.0
ATTACK_FRAMES = 4  # 128 ms on either side
MOST_MISSED_FRAMES = 1
LONG_SECONDS, SHORTEST_SECONDS = 4.0, 0.25
MIN_CLIP_SECONDS = 0.5

SETTINGS = (
    "spectral peaks (256-ms Hann frames, 32-ms hop, 60 Hz to 4 kHz) within a quarter of a "
    "semitone, ended by a rise of 7 dB in 128 ms"
)


@dataclass(frozen=True, eq=False)
class Tones:
    """Tones of a clip: durations in seconds, energies of their peaks, mean levels in dB, [n].

    Levels are relative to the clip's loud peaks.
    """

    seconds: np.ndarray
    energies: np.ndarray
    levels: np.ndarray


@dataclass(frozen=True)
class HeldTones:
    """The longest tone and the share of tonal energy in long ones; None where not defined."""

    longest: float | None  # seconds
    share: float | None  # of the tonal energy in tones of 4 s or more

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return (
            Measurement("held_tone", self.longest, "s", f"longest tone: {SETTINGS}"),
            Measurement(
                "held_share",
                self.share,
                "share",
                f"energy in tones of 4 s or more over that of all tones: {SETTINGS}",
            ),
        )


def find_tones(mono: np.ndarray) -> Tones:
    """Find the tones of mono samples [N] at 16 kHz; N must be at least one attack frame."""
    from librosa import stft

    magnitudes = np.abs(stft(mono, n_fft=PEAK_FRAME, hop_length=HOP)).astype(np.float64)
    peaks, frequencies = _peaks(magnitudes)
    peaks &= magnitudes**2 > PROMINENCE * _surroundings(magnitudes**2)
    if not peaks.any():
        return Tones(np.empty(0), np.empty(0), np.empty(0))
    powers = magnitudes**2
    loud = np.percentile(np.where(peaks, powers, 0).max(0), 95)
    peaks &= powers > loud * 10 ** (-PEAK_RANGE_DB / 10)
    frames, energies = _track(peaks, frequencies, powers, _attacks(mono))
    with np.errstate(divide="ignore"):
        levels = 10 * np.log10(energies / frames / loud)
    return Tones(frames * HOP_SECONDS, energies, levels)


def _peaks(magnitudes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local maxima, bool [F, T], and their interpolated frequencies in Hz, float64 [F, T]."""
    decibels = 20 * np.log10(np.maximum(magnitudes, magnitudes.max() * 1e-8 + 1e-30))
    below, middle, above = decibels[:-2], decibels[1:-1], decibels[2:]
    peaks = np.zeros(magnitudes.shape, bool)
    peaks[1:-1] = (middle > below) & (middle >= above)
    bins = np.arange(len(magnitudes), dtype=np.float64)[:, None].repeat(magnitudes.shape[1], 1)
    curvature = np.where(peaks[1:-1], below - 2 * middle + above, -1)
    bins[1:-1] += np.where(peaks[1:-1], 0.5 * (below - above) / curvature, 0)
    frequencies = bins * SAMPLE_RATE / PEAK_FRAME
    return peaks & (frequencies >= LOWEST_HZ) & (frequencies <= HIGHEST_HZ), frequencies


def _surroundings(powers: np.ndarray) -> np.ndarray:
    """Mean power of the bins around each one, without its own main lobe, float64 [F, T]."""
    from scipy.ndimage import uniform_filter1d

    wide, narrow = (
        (2 * half + 1) * uniform_filter1d(powers, 2 * half + 1, axis=0)
        for half in (SURROUNDING_BINS, LOBE_BINS)
    )
    return (wide - narrow) / (2 * (SURROUNDING_BINS - LOBE_BINS))


def _attacks(mono: np.ndarray) -> np.ndarray:
    """Whether an attack is at a bin and frame, bool [bins of the attack frames, T]."""
    from librosa import stft
    from scipy.ndimage import uniform_filter1d

    power = np.abs(stft(mono, n_fft=ATTACK_FRAME, hop_length=HOP)).astype(np.float64) ** 2
    around = uniform_filter1d(power, 3, axis=0)
    decibels = 10 * np.log10(np.maximum(around, around.max() * 1e-8 + 1e-30))
    # mean of the next frames less that of the previous ones, where both are in the clip
    sums = np.cumsum(np.pad(decibels, ((0, 0), (1, 0))), axis=1)
    means = (sums[:, ATTACK_FRAMES:] - sums[:, :-ATTACK_FRAMES]) / ATTACK_FRAMES
    rises = np.zeros_like(decibels)
    rise = means[:, ATTACK_FRAMES:] - means[:, :-ATTACK_FRAMES]
    rises[:, ATTACK_FRAMES : ATTACK_FRAMES + rise.shape[1]] = rise
    return rises > ATTACK_DB


def _track(
    peaks: np.ndarray, frequencies: np.ndarray, powers: np.ndarray, attacks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Connect peaks to tones: the frames and the energy of each, [n] and [n]."""
    found: list[np.ndarray] = []
    # columns of an open tone: frequency, first frame, last frame, energy
    tones = np.empty((0, 4))
    for frame in range(peaks.shape[1]):
        bins = np.flatnonzero(peaks[:, frame])
        hertz, power = frequencies[bins, frame], powers[bins, frame]
        rows = np.round(tones[:, 0] * ATTACK_FRAME / SAMPLE_RATE).astype(int)
        continued = ~attacks[rows, frame]
        free = np.ones(len(bins), bool)
        if len(bins) and len(tones):
            # the nearest peak in ratio, for each tone; of two tones the older one gets it
            right = np.searchsorted(hertz, tones[:, 0]).clip(1, max(1, len(bins) - 1))
            left = right - 1
            right = right.clip(max=len(bins) - 1)
            nearer = np.where(hertz[right] - tones[:, 0] < tones[:, 0] - hertz[left], right, left)
            limit = np.minimum(tones[:, 0] * (TOLERANCE - 1), TOLERANCE_HZ)
            matched = continued & (np.abs(hertz[nearer] - tones[:, 0]) < limit)
            candidates = np.flatnonzero(matched)
            _, first = np.unique(nearer[candidates], return_index=True)
            matched[np.delete(candidates, first)] = False
            tones[matched, 2] = frame
            tones[matched, 3] += power[nearer[matched]]
            free[nearer[matched]] = False
        continued &= frame - tones[:, 2] <= MOST_MISSED_FRAMES
        found.append(tones[~continued])
        begun = np.full(int(free.sum()), float(frame))
        new = np.column_stack([hertz[free], begun, begun, power[free]])
        tones = np.concatenate([tones[continued], new])
    every = np.concatenate([*found, tones])
    return every[:, 2] - every[:, 1] + 1, every[:, 3]


def estimate_held_tones(analysis: ClipAnalysis) -> HeldTones:
    """Estimate the longest tone and the share of tonal energy in long tones."""
    if analysis.clip.seconds < MIN_CLIP_SECONDS or not analysis.is_sounding:
        return HeldTones(None, None)
    tones = find_tones(analysis.resampled_mono(SAMPLE_RATE))
    lasting = tones.seconds >= SHORTEST_SECONDS
    tonal = tones.energies[lasting].sum()
    if not tonal:
        return HeldTones(0.0, 0.0)
    audible = lasting & (tones.levels >= -HELD_RANGE_DB)
    return HeldTones(
        float(tones.seconds[audible].max(initial=0.0)),
        float(tones.energies[tones.seconds >= LONG_SECONDS].sum() / tonal),
    )


HELD_TONES = Measure("held_tone", "s", f"longest tone: {SETTINGS}", estimate_held_tones)


def measure_held_tones(clip: Clip) -> HeldTones:
    """Measure the longest tone and the share of tonal energy in tones of 4 s or more."""
    return estimate_held_tones(ClipAnalysis(clip))
