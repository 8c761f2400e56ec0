"""Scale on which the change of a measure is estimated."""

from tonearm.stats.effect import Scale
from tonearm.steering.calibration import DIFFERENCES

LOGARITHMIC = ("tempo", "bundled_tempo", "spectral_centroid")  # BPM and Hz


def scale_of(measure: str) -> Scale:
    """The scale of a measure: BPM and Hz by ratios of each prompt, rates by the ratio of means,
    levels and scores by differences.
    """
    if measure in LOGARITHMIC:
        return "log"
    return "difference" if measure.startswith((*DIFFERENCES, "clap_score")) else "ratio"


def is_relative(measure: str) -> bool:
    """Whether the change of a measure is relative, and not a difference."""
    return scale_of(measure) != "difference"
