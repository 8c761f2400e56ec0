"""Description: what is worth printing after a take."""

from dataclasses import dataclass

from tonearm.audio import Clip
from tonearm.measures.brightness import measure_brightness, measure_high_energy
from tonearm.measures.faults import faults
from tonearm.measures.loudness import measure_loudness, measure_peak
from tonearm.measures.measurement import Measurement
from tonearm.measures.onsets import measure_onset_rate
from tonearm.measures.tempo import BeatTracker, TempoEstimate, measure_tempo


@dataclass(frozen=True)
class Description:
    """The measures of one clip that need no reference, and what is technically wrong with it."""

    seconds: float
    tempo: TempoEstimate
    brightness: Measurement  # Hz
    high_energy: Measurement  # share above 2 kHz
    loudness: Measurement  # LUFS
    peak: Measurement  # dBFS
    onset_rate: Measurement  # per second
    faults: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Safe for JSON: what cannot be told is None, never NaN or an infinity."""
        measured = (self.tempo, self.brightness, self.high_energy, self.loudness, self.peak, self.onset_rate)
        by_name = {str(entry["name"]): entry for entry in (measure.to_dict() for measure in measured)}
        return {"seconds": self.seconds, **by_name, "faults": list(self.faults)}


def describe(clip: Clip, tracker: BeatTracker | None = None) -> Description:
    """Measure everything that a clip tells by itself, its beats by `tracker` (librosa where none is given)."""
    return Description(
        seconds=clip.seconds,
        tempo=measure_tempo(clip, tracker),
        brightness=measure_brightness(clip),
        high_energy=measure_high_energy(clip),
        loudness=measure_loudness(clip),
        peak=measure_peak(clip),
        onset_rate=measure_onset_rate(clip),
        faults=tuple(faults(clip)),
    )
