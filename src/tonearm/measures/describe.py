"""Description of a clip: every registered measure, and its faults."""

from dataclasses import dataclass
from typing import cast

from tonearm.audio import Clip
from tonearm.evaluators.base import BeatTracker
from tonearm.measures.base import ClipAnalysis, Measurement, measures
from tonearm.measures.faults import find_faults
from tonearm.measures.key import KEY, KeyEstimate
from tonearm.measures.tempo import TEMPO, TempoEstimate


@dataclass(frozen=True)
class Description:
    """Measurements of one clip that need neither a text nor a reference.

    Attributes:
        seconds: length of the clip.
        measurements: of every registered measure, in the order of registration.
        tempo: the tempo with its beats.
        key: the key with its mode.
        faults: faults in words, with value and limit; the clip is faulty where there is any.
    """

    seconds: float
    measurements: tuple[Measurement, ...]
    tempo: TempoEstimate
    key: KeyEstimate
    faults: tuple[str, ...]

    def __getitem__(self, name: str) -> Measurement:
        """Look up a measurement by name. Raises KeyError for a name without one."""
        for measurement in self.measurements:
            if measurement.name == name:
                return measurement
        raise KeyError(f"no measurement {name}; there are {', '.join(self.names)}")

    @property
    def faulty(self) -> bool:
        """Whether the clip has any fault; `faults` gives the reasons."""
        return bool(self.faults)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(measurement.name for measurement in self.measurements)

    def to_dict(self) -> dict[str, object]:
        """Convert to strict JSON: an undefined value is None, never NaN or an infinity."""
        return {
            "seconds": self.seconds,
            **{measurement.name: measurement.to_dict() for measurement in self.measurements},
            "beats": list(self.tempo.beats),
            "faulty": self.faulty,
            "faults": list(self.faults),
        }


def describe(clip: Clip, tracker: BeatTracker | None = None) -> Description:
    """Evaluate every registered measure on a clip.

    Args:
        clip: the clip.
        tracker: beat tracker; `tonearm.defaults.TRACKER` where none is given.

    Returns:
        The measurements. Each spectrum, envelope and resampling is computed once for all of them.
    """
    analysis = ClipAnalysis(clip, tracker)
    return Description(
        seconds=clip.seconds,
        measurements=tuple(one for measure in measures() for one in measure.measurements(analysis)),
        tempo=cast(TempoEstimate, analysis.estimate(TEMPO)),
        key=cast(KeyEstimate, analysis.estimate(KEY)),
        faults=tuple(find_faults(analysis)),
    )
