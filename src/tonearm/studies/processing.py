"""Signal processing of takes by name, as a baseline of steering."""

from collections.abc import Callable, Mapping

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.studies.effects_processing import high_shelf, time_stretch
from tonearm.studies.plan import Processing
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
