"""Measures of one clip: `Measurement`, `Measure`, the registry, and the lazy `ClipAnalysis`.

A measure is one file that defines a `Measure`, and one call of `register`:

    def estimate_zero_crossings(analysis: ClipAnalysis) -> float | None: ...

    register(Measure("zero_crossings", "1/s", "sign changes per second", estimate_zero_crossings))

It is then part of `describe`, of a take's sidecar, and of every output of `tonearm measure`.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np

from tonearm import boundary
from tonearm.audio import MIN_LOUDNESS_RATE, Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker, EnvelopeTracker, as_clip, as_tracker
from tonearm.evaluators.load import default_tracker
from tonearm.frame_levels import FrameLevels, frame_levels, is_sounding
from tonearm.measures.chroma import (
    CHROMA_SAMPLE_RATE,
    MIN_CHROMA_SECONDS,
    chroma_frames,
    mean_of_frames,
    steps_of_frames,
)
from tonearm.measures.spectrum import Spectrum, magnitude_spectrum
from tonearm.onset_envelope import ENVELOPE_SAMPLE_RATE, envelope_of_samples


@dataclass(frozen=True)
class Measurement:
    """One measured value with its unit and its protocol.

    `value` is None where it is not defined (silence, a clip too short, samples that are not
    finite). NaN and infinities become None, so that they reach neither a mean nor a JSON file.
    """

    name: str
    value: float | str | None
    unit: str
    protocol: str  # estimator and settings, in one line

    def __post_init__(self) -> None:
        if self.value is not None and not isinstance(self.value, str):
            value = float(self.value) if math.isfinite(self.value) else None
            object.__setattr__(self, "value", value)

    @property
    def number(self) -> float | None:
        """The value of a numeric measurement. Raises TypeError for a name such as a key."""
        if isinstance(self.value, str):
            raise TypeError(f"{self.name} is {self.value!r}, not a number")
        return self.value

    def to_dict(self) -> dict[str, str | float | None]:
        return asdict(self)


@runtime_checkable
class Estimate(Protocol):
    """Result of a measure that gives several measurements, such as a tempo with its regularity."""

    @property
    def measurements(self) -> tuple[Measurement, ...]: ...


@dataclass(frozen=True)
class Measure:
    """A function of one clip.

    Attributes:
        name: of its (first) measurement; unique in the registry.
        unit: such as "Hz"; "share" for 0 .. 1; empty for names.
        protocol: estimator and settings, in one line.
        estimate: the function; returns None where the value is not defined, or an `Estimate`.
    """

    name: str
    unit: str
    protocol: str
    estimate: Callable[["ClipAnalysis"], "float | Estimate | None"]

    def __post_init__(self) -> None:
        for name in ("name", "unit", "protocol"):
            boundary.text(getattr(self, name), name)
        boundary.function(self.estimate, "estimate")

    def measurements(self, analysis: "ClipAnalysis") -> tuple[Measurement, ...]:
        """Measure a clip; one measurement, or those of the estimate."""
        boundary.instance(analysis, "analysis", ClipAnalysis, "a ClipAnalysis")
        found = analysis.estimate(self)
        if isinstance(found, Estimate):
            return found.measurements
        return (Measurement(self.name, found, self.unit, self.protocol),)

    def of(self, clip: Clip) -> Measurement:
        """Measure a clip; the measurement that has the measure's own name."""
        return self.measurements(ClipAnalysis(clip))[0]


class ClipAnalysis:
    """A clip and the intermediate results that measures share, each computed once when first used.

    Args:
        clip: the clip to analyse.
        tracker: beat tracker; `tonearm.defaults.TRACKER` where none is given.
    """

    def __init__(self, clip: Clip, tracker: BeatTracker | None = None) -> None:
        self.clip = as_clip(clip, "clip")
        self._tracker = boundary.optional(as_tracker, tracker, "tracker")
        self._resampled: dict[int, np.ndarray] = {}
        self._estimates: dict[Measure, float | Estimate | None] = {}

    def estimate(self, measure: Measure) -> "float | Estimate | None":
        """Evaluate a measure once; later calls return the same result."""
        boundary.instance(measure, "measure", Measure, "a Measure")
        if measure not in self._estimates:
            self._estimates[measure] = measure.estimate(self)
        return self._estimates[measure]

    @cached_property
    def tracker(self) -> BeatTracker:
        return default_tracker() if self._tracker is None else self._tracker

    @cached_property
    def mono(self) -> np.ndarray:
        """Mean of the channels, float32 [N]."""
        return self.clip.mono

    def resampled_mono(self, sample_rate: int) -> np.ndarray:
        """Mono samples at another sample rate, float32 [N']; one resampling for each rate."""
        sample_rate = boundary.integer(sample_rate, "sample_rate")
        if sample_rate not in self._resampled:
            clip = Clip(self.mono, self.clip.sample_rate).resampled(sample_rate)
            self._resampled[sample_rate] = clip.samples[0]
        return self._resampled[sample_rate]

    @cached_property
    def metered(self) -> Clip:
        """The clip at 8 kHz or more, the lowest rate for the K-weighting of loudness."""
        clip = self.clip
        return clip if clip.sample_rate >= MIN_LOUDNESS_RATE else clip.resampled(MIN_LOUDNESS_RATE)

    @cached_property
    def levels(self) -> FrameLevels:
        """RMS levels of frames of 50 ms."""
        return frame_levels(self.clip)

    @cached_property
    def is_sounding(self) -> bool:
        """Whether all samples are finite and at least one frame has -60 dBFS."""
        return is_sounding(self.clip, self.levels)

    @cached_property
    def spectrum(self) -> Spectrum | None:
        """Magnitude spectrum; None for silence and for clips shorter than one frame of 64 ms."""
        return magnitude_spectrum(self.mono, self.clip.sample_rate) if self.is_sounding else None

    @cached_property
    def onset_envelope(self) -> np.ndarray:
        """Onset strength, float32 [F], one frame per 8 ms.

        Zeros for silence, for steady sounds and under 128 ms.
        """
        mono = self.resampled_mono(ENVELOPE_SAMPLE_RATE)
        return envelope_of_samples(mono, self.is_sounding)

    @cached_property
    def beats(self) -> np.ndarray:
        """Beat times in seconds, float64 [beats]."""
        if isinstance(self.tracker, EnvelopeTracker):
            return self.tracker.track_envelope(self.onset_envelope, self.clip.seconds)
        return self.tracker.track(self.clip)

    @cached_property
    def chroma_frames(self) -> np.ndarray | None:
        """Chroma from C in frames of 64 ms, float32 [12, F]; None for silence and under 2 s."""
        if self.clip.seconds < MIN_CHROMA_SECONDS or not self.is_sounding:
            return None
        return chroma_frames(self.resampled_mono(CHROMA_SAMPLE_RATE))

    @cached_property
    def chroma(self) -> np.ndarray | None:
        """Mean chroma from C, float64 [12]; None for silence and under 2 s."""
        return None if self.chroma_frames is None else mean_of_frames(self.chroma_frames)

    @cached_property
    def chroma_steps(self) -> np.ndarray | None:
        """Chroma from C over 0.5-s steps, float64 [T, 12]; None for silence and under 2 s.

        A step has unit length, or is zero where it is silent.
        """
        if self.chroma_frames is None:
            return None
        return steps_of_frames(self.chroma_frames, self.resampled_mono(CHROMA_SAMPLE_RATE))


_registry: dict[str, Measure] = {}


def register(measure: Measure) -> Measure:
    """Add a measure to those of `describe`, in the order of registration.

    Raises:
        TonearmError: a measure of this name is registered already.
    """
    boundary.instance(measure, "measure", Measure, "a Measure")
    if measure.name in _registry:
        raise TonearmError(f"a measure named {measure.name} is registered already; rename one")
    _registry[measure.name] = measure
    return measure


def measures() -> tuple[Measure, ...]:
    """List the registered measures in the order of registration."""
    return tuple(_registry.values())
