"""Description: every measure that a clip tells by itself, with no judge and no reference."""

from collections.abc import Mapping
from dataclasses import dataclass

from tonearm.audio import Clip
from tonearm.measures.brightness import measure_brightness, measure_high_energy, measure_rolloff
from tonearm.measures.dynamics import measure_crest, measure_loudness_range
from tonearm.measures.faults import faults
from tonearm.measures.key import KeyEstimate, measure_key
from tonearm.measures.loudness import measure_loudness, measure_peak, measure_true_peak
from tonearm.measures.measurement import Measurement
from tonearm.measures.onsets import measure_onset_rate
from tonearm.measures.tempo import BeatTracker, TempoEstimate, measure_tempo


@dataclass(frozen=True)
class Description:
    """The measures of one clip that need no reference, and what is technically wrong with it."""

    seconds: float
    tempo: TempoEstimate
    brightness: Measurement  # Hz
    rolloff: Measurement  # Hz
    high_energy: Measurement  # share above 2 kHz
    loudness: Measurement  # LUFS
    loudness_range: Measurement  # LU
    peak: Measurement  # dBFS
    true_peak: Measurement  # dBTP
    crest: Measurement  # dB
    onset_rate: Measurement  # per second
    key: KeyEstimate
    faults: tuple[str, ...]

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Every number, each with its protocol."""
        return (*self.tempo.measurements, *self._plain, self.key.majorness)

    @property
    def _plain(self) -> tuple[Measurement, ...]:
        return (
            *(self.brightness, self.rolloff, self.high_energy, self.loudness, self.loudness_range),
            *(self.peak, self.true_peak, self.crest, self.onset_rate),
        )

    def to_dict(self) -> dict[str, object]:
        """Safe for JSON: what cannot be told is None, never NaN or an infinity."""
        plain = [measured.to_dict() for measured in (*self._plain, self.key.majorness)]
        entries: list[Mapping[str, object]] = [self.tempo.to_dict(), *plain, self.key.to_dict()]
        return {
            "seconds": self.seconds,
            **{str(entry["name"]): entry for entry in entries},
            "faults": list(self.faults),
        }


def describe(clip: Clip, tracker: BeatTracker | None = None) -> Description:
    """Measure everything that a clip tells by itself, its beats by `tracker` (librosa where none is given)."""
    return Description(
        seconds=clip.seconds,
        tempo=measure_tempo(clip, tracker),
        brightness=measure_brightness(clip),
        rolloff=measure_rolloff(clip),
        high_energy=measure_high_energy(clip),
        loudness=measure_loudness(clip),
        loudness_range=measure_loudness_range(clip),
        peak=measure_peak(clip),
        true_peak=measure_true_peak(clip),
        crest=measure_crest(clip),
        onset_rate=measure_onset_rate(clip),
        key=measure_key(clip),
        faults=tuple(faults(clip)),
    )
