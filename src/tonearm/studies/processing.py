"""Processing of takes by name: signal processing as a baseline of steering, and excerpts.

An excerpt is the new part of a continuation, measured without the audio prompt before it.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.processing import high_shelf
from tonearm.studies.effects_processing import gain_for_centroid, harmonic_part, time_stretch
from tonearm.studies.plan import Found, Processing
from tonearm.studies.records import Record, mean_of
from tonearm.text import quoted


def stretched_and_filtered(clip: Clip, rate: float, gain: float) -> Clip:
    """Stretch a clip in time, then filter it."""
    return high_shelf(time_stretch(clip, rate), gain)


def excerpt(clip: Clip, start: float, end: float | None = None) -> Clip:
    """Copy the part of a clip from `start` to `end` seconds, or to its own end.

    Raises:
        TonearmError: the start is below 0 or not finite, the end is not after it, or nothing
            follows the start.
    """
    if not 0 <= start < math.inf:
        raise TonearmError(f"an excerpt cannot start at {start:g} s; give 0 or more")
    if end is not None and not start < end < math.inf:
        raise TonearmError(f"an excerpt from {start:g} s cannot end at {end:g} s; end it later")
    last = None if end is None else round(end * clip.sample_rate)
    samples = clip.samples[:, round(start * clip.sample_rate) : last]
    if not samples.shape[1]:
        raise TonearmError(
            f"a clip of {clip.seconds:.2f} s has no excerpt from {start:g} s on; give an earlier start"
        )
    return Clip(samples.copy(), clip.sample_rate)


FUNCTIONS: Mapping[str, Callable[..., Clip]] = {
    "excerpt": excerpt,
    "harmonic part": harmonic_part,
    "shelving filter": high_shelf,
    "time stretch": time_stretch,
    "time stretch and shelving filter": stretched_and_filtered,
}


def process(clip: Clip, processing: Processing) -> Clip:
    """Apply a processing to a clip.

    Raises:
        TonearmError: no processing of that name.
    """
    if processing.name not in FUNCTIONS:
        raise TonearmError(
            f"no processing {quoted(processing.name)}; there are {', '.join(FUNCTIONS)}"
        )
    return FUNCTIONS[processing.name](clip, **processing.parameters)


def matched_shelf(plain: Sequence[Record], steered: Sequence[Record], found: Found) -> Processing:
    """The shelving filter that gives plain takes the mean centroid of steered ones."""
    clips = [found.clip(record) for record in plain]
    gain = gain_for_centroid(clips, mean_of(steered, "spectral_centroid"))
    return Processing("shelving filter", {"gain": round(gain, 2)})


def matched_stretch(plain: Sequence[Record], steered: Sequence[Record]) -> Processing | None:
    """The time stretch by the ratio of the mean onset rates; None where one of them is 0."""
    after, before = (mean_of(records, "onset_rate") for records in (steered, plain))
    if not (after and before):
        return None
    return Processing("time stretch", {"rate": round(after / before, 3)})


def matched_both(
    plain: Sequence[Record], steered: Sequence[Record], found: Found
) -> Processing | None:
    """The time stretch by the ratio of the mean onset rates, and the filter that then gives the mean
    centroid; None where an onset rate is 0.
    """
    stretch = matched_stretch(plain, steered)
    if stretch is None:
        return None
    clips = [time_stretch(found.clip(record), **stretch.parameters) for record in plain]
    gain = gain_for_centroid(clips, mean_of(steered, "spectral_centroid"))
    parameters = {**stretch.parameters, "gain": round(gain, 2)}
    return Processing("time stretch and shelving filter", parameters)
