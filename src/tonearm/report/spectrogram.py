"""Comparable mel spectrograms: one time axis, frequency axis and colour scale for all takes.

The image is the plot area alone. Its axes are data (`Scale`), so that a page renders them as text,
sharp at any width and in its own colours.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm.audio import Clip

WIDTH = 1000  # columns of the image, to the nearest whole hop
HEIGHT = 128  # mel bands, one row each
WINDOW_SECONDS = 0.06  # resolves two notes of a chord from C3 up, and visible onsets
RANGE_DB = 70.0  # from the brightest colour to the darkest
FLOOR_DB = -100.0  # digital silence
MAX_TIME_TICKS = 11
COLOURS = "magma"


@dataclass(frozen=True)
class Tick:
    """A tick of an axis: its `label`, and its `place` from 0 (left or bottom) to 1."""

    label: str
    place: float


@dataclass(frozen=True)
class Scale:
    """Axes and colours shared by several spectrograms."""

    seconds: float  # the right edge
    sample_rate: int  # Hz; the top edge is half of it
    loudest_db: float  # the brightest colour; the darkest is RANGE_DB below

    @classmethod
    def shared(cls, clips: Sequence[Clip]) -> "Scale":
        """Find the scale that covers all clips in time, frequency and level."""
        seconds = max(clip.seconds for clip in clips)
        sample_rate = max(clip.sample_rate for clip in clips)
        loudest = max(float(_mel_decibels(clip, seconds, sample_rate).max()) for clip in clips)
        return cls(
            seconds, sample_rate, max(loudest, FLOOR_DB + RANGE_DB)
        )  # for silence to be dark

    @property
    def highest_hz(self) -> float:
        return self.sample_rate / 2

    def time_ticks(self) -> list[Tick]:
        """Ticks at round seconds, eleven at most."""
        magnitude = 10.0 ** math.floor(math.log10(self.seconds / MAX_TIME_TICKS))
        step = next(
            m * magnitude
            for m in (1, 2, 5, 10, 20)
            if self.seconds / (m * magnitude) <= MAX_TIME_TICKS - 1
        )
        count = math.floor(self.seconds / step + 1e-9)
        return [Tick(f"{i * step:g}", i * step / self.seconds) for i in range(count + 1)]

    def frequency_ticks(self) -> list[Tick]:
        """Ticks at octaves from 500 Hz, in kHz, at their places on the mel axis."""
        from librosa import hz_to_mel

        octaves = [0.0, *(500.0 * 2**n for n in range(8))]
        top = hz_to_mel(self.highest_hz)
        return [
            Tick(f"{hz / 1000:g}", float(hz_to_mel(hz) / top))
            for hz in octaves
            if hz <= self.highest_hz
        ]


def spectrogram_png(clip: Clip, scale: Scale) -> bytes:
    """Draw the mel spectrogram of a clip.

    Args:
        clip: the clip; one shorter than the scale ends in the colour of silence.
        scale: axes and colours; its limits are the edges of the image.

    Returns:
        A PNG of about WIDTH x HEIGHT pixels; time to the right, mel frequency up, level as colour.
    """
    return _image(clip, scale, format="png")


def spectrogram_webp(clip: Clip, scale: Scale, quality: int = 60) -> bytes:
    """Draw the same image as a lossy WebP, a tenth as large, for pages with many takes.

    Args:
        clip: as for `spectrogram_png`.
        scale: likewise.
        quality: of WebP, 0 to 100.
    """
    return _image(clip, scale, format="webp", pil_kwargs={"quality": quality})


def _image(clip: Clip, scale: Scale, **options: Any) -> bytes:
    from matplotlib.image import imsave

    decibels = _mel_decibels(clip, scale.seconds, scale.sample_rate)
    image = io.BytesIO()
    darkest = scale.loudest_db - RANGE_DB
    imsave(
        image,
        decibels,
        cmap=COLOURS,
        vmin=darkest,
        vmax=scale.loudest_db,
        origin="lower",
        **options,
    )
    return image.getvalue()


def _mel_decibels(clip: Clip, seconds: float, sample_rate: int) -> np.ndarray:
    """Power in dB, float [HEIGHT, columns]: band 0 lowest, the columns evenly over `seconds`."""
    from librosa.feature import melspectrogram

    length = round(seconds * sample_rate)
    hop = max(1, round(length / WIDTH))
    window = 2 ** round(math.log2(max(WINDOW_SECONDS * sample_rate, hop)))
    mono = clip.resampled(sample_rate).mono[:length]
    padded = np.pad(mono, (0, length - len(mono)))
    power = melspectrogram(y=padded, sr=sample_rate, n_fft=window, hop_length=hop, n_mels=HEIGHT)
    power = power[
        :, : math.ceil(length / hop)
    ]  # the last frame of a centred transform may be past the end
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
