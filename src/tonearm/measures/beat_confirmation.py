"""Confirmation of a beat: whether the onsets of a clip repeat at the period that a tracker read.

A beat tracker gives beats for any audio. In music cut into grains of 50 to 170 ms and shuffled,
trackers read about 150 BPM; a take that loses its beat thus seems to become faster. A tempo is
therefore reported only where the autocorrelation of the onset flux confirms it, which no tracker's
preference for equal intervals can bend:

    largest rise    at least 1.5 dB of the onset envelope: there are onsets, and not only the
                    tremolo or beating of held tones, which repeats as exactly as a beat
    pulse clarity   at least 0.2: some period between 0.25 and 1.5 s repeats
    pulse support   at least 0.15: the onsets repeat at the read period P, at any metrical level

    support(P) = max over Q in {P/2, P, 2P, 4P} from 0.2 to 2.5 s
                 of the mean of r(k Q), k = 1 .. 6, k Q <= 5 s

with r of `tonearm.measures.pulse_clarity`. The mean over multiples has a third of the scatter of
one value of r in a clip without a beat; the maximum over levels keeps music whose beats repeat only
every second or fourth time. Support does not decide between the levels: the tempo's octave remains
the tracker's.

Errors and calibration: docs/measures.md. Measured and not taken: a lower limit on beat regularity
(0.4: loses a tenth of the music by the bundled tracker, and refuses nothing more by librosa), and
agreement with the period of highest support anywhere (loses a quarter).
"""

import numpy as np

from tonearm.measures.pulse_clarity import ENVELOPE_RATE, MIN_PULSE_SECONDS

MIN_RISE = 1.5  # dB
MIN_CLARITY = 0.2
MIN_SUPPORT = 0.15
LEVELS = (0.5, 1, 2, 4)  # periods of metrical levels, in beats
SHORTEST_LEVEL, LONGEST_LEVEL = 0.2, 2.5  # seconds; two repetitions or more
REPETITIONS = 6
LONGEST_REPETITION = 5.0  # seconds
CONFIRMED = (
    f"confirmed by onsets (rise >= {MIN_RISE} dB, pulse clarity >= {MIN_CLARITY}, "
    f"support of the period >= {MIN_SUPPORT})"
)


def pulse_support(correlation: np.ndarray, bpm: float) -> float:
    """Compute how much the onsets repeat at the period of a tempo, at its best metrical level.

    Args:
        correlation: r of the onset envelope, float64 [lags], one lag per 8 ms from 0.
        bpm: tempo.

    Returns:
        Mean of r at the multiples of the period, up to 1; 0 for a tempo whose levels are all
        outside 0.2 to 2.5 s or the lags.
    """
    lags = np.arange(len(correlation))
    supports = [0.0]
    for level in LEVELS:
        period = level * 60 / bpm
        repetitions = period * np.arange(1, REPETITIONS + 1) * ENVELOPE_RATE
        inside = repetitions <= min(lags[-1], LONGEST_REPETITION * ENVELOPE_RATE)
        if SHORTEST_LEVEL <= period <= LONGEST_LEVEL and inside.any():
            supports.append(float(np.interp(repetitions[inside], lags, correlation).mean()))
    return max(supports)


def why_unconfirmed(
    bpm: float, rise: float, clarity: float | None, support: float | None
) -> str | None:
    """Name the reason why a tempo is not confirmed; None where it is.

    Args:
        bpm: tempo that the beats have.
        rise: largest rise of the onset envelope in dB.
        clarity: pulse clarity of the clip; None for silence and short clips.
        support: `pulse_support` of the tempo; None where clarity is None.
    """
    if clarity is None or support is None:
        return f"silent, or under {MIN_PULSE_SECONDS:g} s: too short to confirm a beat"
    if rise < MIN_RISE:
        return f"no onsets: the largest rise is {rise:.1f} dB, under {MIN_RISE} dB"
    if clarity < MIN_CLARITY:
        return (
            f"no clear pulse: pulse clarity {clarity:.2f} is under {MIN_CLARITY} "
            f"(the beats would give {bpm:.0f} BPM)"
        )
    if support < MIN_SUPPORT:
        return (
            f"the onsets do not repeat at the beats' {bpm:.0f} BPM: "
            f"support {support:.2f} is under {MIN_SUPPORT}"
        )
    return None
