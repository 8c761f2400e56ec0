"""Signal processing of takes by name, as a baseline of steering."""

from collections.abc import Callable, Mapping, Sequence

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.studies.effects_processing import gain_for_centroid, high_shelf, time_stretch
from tonearm.studies.plan import Found, Processing
from tonearm.studies.records import Record, mean_of
from tonearm.text import quoted

FUNCTIONS: Mapping[str, Callable[..., Clip]] = {
    "shelving filter": high_shelf,  # gain
    "time stretch": time_stretch,  # rate
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
