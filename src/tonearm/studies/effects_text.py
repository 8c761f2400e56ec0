"""Numbers of the effects study as text, and Markdown tables."""

from collections.abc import Sequence

from tonearm.stats.effect import Effect
from tonearm.studies.effects_random import Spread
from tonearm.studies.effects_rows import Counts
from tonearm.studies.scales import is_relative

TITLES = {
    "tempo": "BPM, librosa",
    "bundled_tempo": "BPM, bundled tracker",
    "onset_rate": "onsets per s",
    "onset_rate_superflux": "onsets per s, SuperFlux",
    "spectral_centroid": "spectral centroid, Hz",
    "loudness": "loudness, LUFS",
    "pulse_clarity": "pulse clarity",
    "clap_score": "CLAP score",
}
DECIMALS = {"tempo": 0, "bundled_tempo": 0, "onset_rate": 1, "onset_rate_superflux": 1}
DECIMALS |= {"spectral_centroid": 0, "loudness": 1}  # of means; 2 for others
UNKNOWN = "–"  # under two takes


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Format a Markdown table, one line per row."""
    lines = [headings, ["---"] * len(headings), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def mean_text(measure: str, found: Effect) -> str:
    """Format `128 ± 42`."""
    if found.n < 2:
        return UNKNOWN
    decimals = DECIMALS.get(measure, 2)
    return f"{found.mean:.{decimals}f} ± {found.deviation:.{decimals}f}"


def effect_text(measure: str, found: Effect) -> str:
    """Format a change with its interval: `+17% [+7%, +29%]`, or a difference `-0.09 [-0.13, -0.05]`."""
    if found.n < 2:
        return UNKNOWN
    change, low, high = (
        change_text(measure, value) for value in (found.change, found.low, found.high)
    )
    return f"{change} [{low}, {high}]"


def spread_text(spread: Spread) -> str:
    """Format the mean over directions with its range, `+8% (-5% to +22%)`."""
    mean, low, high = (
        change_text(spread.measure, change)
        for change in (spread.mean, min(spread.changes), max(spread.changes))
    )
    return f"{mean} ({low} to {high})"


def change_text(measure: str, change: float) -> str:
    """Format one change: relative in per cent, or a difference."""
    return f"{change:+.0%}" if is_relative(measure) else f"{change:+.2f}"


def ratio_text(found: Effect) -> str:
    """Format a relative change as a ratio with its interval, `0.93 [0.85, 1.01]`."""
    if found.n < 2:
        return UNKNOWN
    return f"{1 + found.change:.2f} [{1 + found.low:.2f}, {1 + found.high:.2f}]"


def faulty_text(counts: Counts) -> str:
    """Format `4 of 50`."""
    return f"{counts.faulty} of {counts.takes}"


def faults_text(counts: Counts) -> str:
    """Format `no pulse 3, held tone 1`."""
    return ", ".join(f"{kind} {number}" for kind, number in counts.faults.items())
