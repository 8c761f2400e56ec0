"""Readers of a knob's measure from a clip."""

from collections.abc import Callable
from functools import partial

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.load import default_tagger, load_clap
from tonearm.measures import measure_tempo
from tonearm.measures.base import Measure
from tonearm.measures.clap_score import measure_clap_score
from tonearm.measures.high_onset_level import HIGH_ONSET_LEVEL
from tonearm.measures.loudness import LOUDNESS
from tonearm.measures.onset_rate import ONSET_RATE
from tonearm.measures.onset_rate_superflux import ONSET_RATE_SUPERFLUX
from tonearm.measures.pulse_clarity import PULSE_CLARITY
from tonearm.measures.spectral_centroid import SPECTRAL_CENTROID
from tonearm.measures.tags import measure_tags
from tonearm.text import quoted

Reader = Callable[[Clip], float | None]
TEMPOS = ("tempo", "bundled_tempo")
_SIGNAL = {
    one.name: one
    for one in (
        HIGH_ONSET_LEVEL,
        LOUDNESS,
        ONSET_RATE,
        ONSET_RATE_SUPERFLUX,
        PULSE_CLARITY,
        SPECTRAL_CENTROID,
    )
}


def reader_of(measure: str, tracker: BeatTracker) -> Reader:
    """The function that reads a measure of a calibration from a clip.

    Args:
        measure: such as spectral_centroid, tag:flute or clap:jazz.
        tracker: of tempos.

    Raises:
        TonearmError: an unknown measure.
    """
    kind, colon, name = measure.partition(":")
    if measure in TEMPOS:
        return lambda clip: measure_tempo(clip, tracker).measurement.number
    if measure in _SIGNAL:
        return partial(_number, _SIGNAL[measure])
    if colon and kind == "tag":
        tagger = default_tagger()
        return lambda clip: (measure_tags(clip, tagger).probabilities or {}).get(name)
    if colon and kind == "clap":
        clap = load_clap("bundled")
        return lambda clip: measure_clap_score(clip, clap, name).number
    raise TonearmError(f"measure {quoted(measure)} cannot be read from a clip")


def _number(measure: Measure, clip: Clip) -> float | None:
    return measure.of(clip).number
