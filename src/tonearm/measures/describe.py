"""Description: every measure that a clip tells by itself, with no judge and no reference."""

from collections.abc import Mapping
from dataclasses import dataclass

from tonearm.audio import Clip
from tonearm.evaluators.base import BeatTracker
from tonearm.measures.brightness import measure_high_frequency_ratio, measure_rolloff, measure_spectral_centroid
from tonearm.measures.dynamics import measure_crest_factor, measure_loudness_range
from tonearm.measures.faults import faults, measure_clipped, measure_dc_offset, measure_silence
from tonearm.measures.key import KeyEstimate, measure_key
from tonearm.measures.loudness import measure_loudness, measure_peak, measure_true_peak
from tonearm.measures.measurement import Measurement
from tonearm.measures.onset_rate import measure_onset_rate
from tonearm.measures.tempo import TempoEstimate, measure_tempo


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
    silence: Measurement  # share of the time
    clipped: Measurement  # share of the samples
    dc_offset: Measurement  # full scale = 1
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
            *(self.silence, self.clipped, self.dc_offset),
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
    """Measure everything that a clip tells by itself, its beats by `tracker` (or `tonearm.defaults.TRACKER`)."""
    return Description(
        seconds=clip.seconds,
        tempo=measure_tempo(clip, tracker),
        brightness=measure_spectral_centroid(clip),
        rolloff=measure_rolloff(clip),
        high_energy=measure_high_frequency_ratio(clip),
        loudness=measure_loudness(clip),
        loudness_range=measure_loudness_range(clip),
        peak=measure_peak(clip),
        true_peak=measure_true_peak(clip),
        crest=measure_crest_factor(clip),
        onset_rate=measure_onset_rate(clip),
        silence=measure_silence(clip),
        clipped=measure_clipped(clip),
        dc_offset=measure_dc_offset(clip),
        key=measure_key(clip),
        faults=tuple(faults(clip)),
    )
