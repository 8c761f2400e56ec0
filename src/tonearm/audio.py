"""Audio clips: reading, writing, resampling, loudness."""

import io
import math
import os
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyloudnorm
import soundfile
import soxr

from tonearm import boundary
from tonearm.audio_container import (
    Source,
    is_mpeg,
    missing_bytes,
    with_stated_length,
    without_clock,
)
from tonearm.decoder_messages import without_decoder_messages
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.text import quoted

WRITABLE = (".wav", ".flac", ".ogg")
ENCODED_BLOCK = 2**16  # samples per call; the Vorbis encoder overflows its stack on long ones
MAX_MAGNITUDE = 1e6  # full scale = 1; the square of larger samples overflows in float32
SILENCE = 1e-5  # full scale = 1
MIN_INPUT_PEAK = 0.002  # -54 dBFS; a take is some 40 dB louder
MAX_RATE = 2**31 - 1  # of libsndfile
MIN_FILE_RATE, MAX_FILE_RATE = 1000, 1_000_000  # Hz; others are a fault of the file's header
MAX_SAMPLES = 2**29  # in all channels of a clip: 2 GiB, three hours of mono at 48 kHz
UNDECODED = 0.1  # seconds by which an audio file may be shorter than it states
UNKNOWN_LENGTH = 2**63 - 1  # of libsndfile, for a file that was written into a pipe
READABLE = "WAV, FLAC, OGG, MP3 or Opus"
PCM_SCALES = {"uint8": (128, 128), "int8": (0, 2**7), "int16": (0, 2**15), "int32": (0, 2**31)}
MAX_LUFS = 200  # beyond the range of 32-bit floats
MIN_LOUDNESS_RATE = 8000  # the weighting filter needs a corner well below half the sample rate
MIN_LOUDNESS_SECONDS = 0.4  # one gating block of ITU-R BS.1770
MAX_LOUDNESS_CHANNELS = 5  # with more, the subwoofer that BS.1770 excludes is unknown


@dataclass(frozen=True)
class Clip:
    """Audio of C channels and N samples: `samples` float32 [C, N] in [-1, 1], `sample_rate` in Hz.

    Samples of the types of PCM files (uint8, int8, int16, int32) are divided by their full scale.

    Raises:
        TonearmError: samples of another type or shape, or a sample rate that is no whole number of
            Hz.
    """

    samples: np.ndarray
    sample_rate: int

    def __post_init__(self) -> None:
        samples = _as_float(self.samples)
        if samples.ndim == 1:
            samples = samples[None]
        if samples.ndim != 2 or not samples.shape[0]:
            raise TonearmError(
                f"samples have shape {samples.shape}; a clip is [channels, samples]; "
                "give an array of that shape"
            )
        largest = np.abs(samples).max(initial=0)
        if MAX_MAGNITUDE < largest < np.inf:
            raise TonearmError(
                f"samples are as large as {largest:g}, of which 1 is full scale; "
                "scale them to [-1, 1]"
            )
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "sample_rate", _as_rate(self.sample_rate))

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / self.sample_rate

    @property
    def mono(self) -> np.ndarray:
        """float32 [N], the mean of the channels."""
        return self.samples.mean(0)

    def with_channels(self, channels: int) -> "Clip":
        """The clip as a model of 1 or 2 channels receives it.

        For one channel, and where the number differs, the channels are averaged.
        """
        if boundary.integer(channels, "channels") not in (1, 2):
            raise TonearmError(f"{channels} channels are not possible; give 1 or 2")
        if channels == 1:
            return Clip(self.mono, self.sample_rate)
        if len(self.samples) == channels:
            return self
        return Clip(self.mono[None].repeat(channels, axis=0), self.sample_rate)

    @property
    def loudness(self) -> float:
        """Integrated loudness in LUFS (ITU-R BS.1770); -inf for silence, under 0.4 s and above five
        channels.
        """
        unfit = self.seconds < MIN_LOUDNESS_SECONDS or len(self.samples) > MAX_LOUDNESS_CHANNELS
        if unfit or not self.samples.any():
            return float("-inf")
        heard = self if self.sample_rate >= MIN_LOUDNESS_RATE else self.resampled(MIN_LOUDNESS_RATE)
        return float(
            pyloudnorm.Meter(heard.sample_rate).integrated_loudness(
                heard.samples.T.astype(np.float64)
            )
        )

    def resampled(self, sample_rate: int) -> "Clip":
        """The clip at another sample rate.

        Raises:
            TonearmError: the result would have more than MAX_SAMPLES samples.
        """
        sample_rate = _as_rate(sample_rate)
        if sample_rate == self.sample_rate:
            return self
        if self.samples.size * sample_rate > MAX_SAMPLES * self.sample_rate:
            raise TonearmError(
                f"a clip of {_duration(self.seconds)} at {self.sample_rate} Hz is too long for "
                f"{sample_rate} Hz; check its sample rate, or cut it to "
                f"{_duration(MAX_SAMPLES / sample_rate / len(self.samples))} at most"
            )
        return Clip(soxr.resample(self.samples.T, self.sample_rate, sample_rate).T, sample_rate)

    def rolled(self, seconds: float) -> "Clip":
        """The clip from `seconds` on, followed by its beginning."""
        if not math.isfinite(boundary.number(seconds, "seconds")):
            raise TonearmError(f"a clip cannot be rolled by {seconds} s; give a finite number")
        return Clip(
            np.roll(self.samples, -round(seconds * self.sample_rate), axis=1), self.sample_rate
        )

    def _count(self, seconds: float) -> int:
        """Samples in a number of seconds, at most those of the clip."""
        if not boundary.number(seconds, "seconds") >= 0:
            raise TonearmError(f"{seconds:g} s are not possible; give 0 or more")
        return int(min(float(seconds) * self.sample_rate, self.samples.shape[1]))

    def last(self, seconds: float) -> "Clip":
        """The end of the clip; all of it where it is not longer than `seconds`."""
        count = self._count(seconds)
        if self.samples.shape[1] <= count:
            return self
        return Clip(self.samples[:, self.samples.shape[1] - count :], self.sample_rate)

    def first(self, seconds: float) -> "Clip":
        """The start of the clip; all of it where it is not longer than `seconds`."""
        count = self._count(seconds)
        if self.samples.shape[1] <= count:
            return self
        return Clip(self.samples[:, :count], self.sample_rate)

    def loudness_matched(self, target: float = -20.0, peak: float = 0.98) -> "Clip":
        """A copy at `target` LUFS, or lower if a sample would exceed `peak`; silence is unchanged."""
        if not -MAX_LUFS <= boundary.number(target, "target") <= MAX_LUFS:
            raise TonearmError(
                f"a loudness of {target} LUFS is not possible; give {-MAX_LUFS} to {MAX_LUFS}"
            )
        if not 0 < boundary.number(peak, "peak") < math.inf:
            raise TonearmError(
                f"a peak of {peak} is not possible; give a number above 0, such as 1"
            )
        if not np.isfinite(self.loudness):
            return self
        gain = 10 ** ((target - self.loudness) / 20)
        gain = min(gain, peak / float(np.abs(self.samples).max()))
        return Clip(self.samples * gain, self.sample_rate)

    def write(self, path: str | os.PathLike[str]) -> Path:
        """Write WAV (32-bit float, so that it reads back bit for bit), FLAC or OGG, by the path's
        ending; never half a file.
        """
        path = Path(boundary.path(path, "path"))
        if path.suffix.lower() not in WRITABLE:
            raise TonearmError(
                f"cannot write {path}: the ending is {path.suffix or 'missing'}; use one of {', '.join(WRITABLE)}"
            )
        content = self.encoded(path.suffix)
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)
        return path

    def encoded(self, suffix: str, quality: float | None = None) -> bytes:
        """Return the bytes of an audio file.

        Equal clips give equal bytes. The file is made in memory, since the audio library reports no
        full disk when it closes one.

        Args:
            suffix: ".wav" (32-bit float), ".flac" or ".ogg", in any case.
            quality: of Ogg Vorbis, 0 to 1; default: the audio library's own.

        Raises:
            TonearmError: another suffix, a quality for another format or out of range, or the
                format cannot have these channels and sample rate.
        """
        kind = boundary.text(suffix, "suffix").lower()
        if kind not in WRITABLE:
            raise TonearmError(
                f"cannot write audio with the ending {suffix or '(none)'}; "
                f"use one of {', '.join(WRITABLE)}"
            )
        quality = boundary.optional(boundary.number, quality, "quality")
        if quality is not None and (kind != ".ogg" or not 0 <= quality <= 1):
            raise TonearmError(
                f"a quality of {quality:g} is not possible for {kind}; give 0 to 1, with .ogg"
            )
        channels, count = self.samples.shape
        buffer = io.BytesIO()
        try:
            with soundfile.SoundFile(
                buffer,
                "w",
                samplerate=self.sample_rate,
                channels=channels,
                format=kind[1:].upper(),
                subtype="FLOAT" if kind == ".wav" else None,
                compression_level=None if quality is None else 1 - quality,
            ) as file:
                for start in range(0, count, ENCODED_BLOCK):
                    file.write(self.samples[:, start : start + ENCODED_BLOCK].T)
        except soundfile.LibsndfileError as error:
            raise TonearmError(
                f"cannot write {channels} channels at {self.sample_rate} Hz as {kind} "
                f"({error.error_string.strip()}); use .wav"
            ) from error
        return without_clock(buffer.getvalue())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Clip":
        """Read WAV, FLAC, OGG, MP3 or Opus.

        The length that a file states is checked before memory is reserved for it.

        Raises:
            TonearmError: the file is absent, not audio, empty, truncated, too long, or holds NaN.
        """
        path = Path(boundary.path(path, "path"))
        if not path.is_file():
            raise TonearmError(f"no audio file at {path}; give the path of a {READABLE} file")
        return cls._of(path, str(path))

    @classmethod
    def decode(cls, content: bytes, name: str) -> "Clip":
        """Decode the content of an audio file, such as a cell of a Parquet file.

        Args:
            content: bytes of a WAV, FLAC, OGG, MP3 or Opus file.
            name: of the audio, for messages.

        Raises:
            TonearmError: as `read`.
        """
        content = boundary.instance(content, "content", bytes, "the bytes of an audio file")
        return cls._of(content, boundary.text(name, "name"))

    @classmethod
    def _of(cls, source: Source, name: str) -> "Clip":
        try:
            samples, sample_rate = _decoded(source, name)
        except soundfile.SoundFileError as error:
            reason = getattr(error, "error_string", str(error)).strip()
            raise TonearmError(
                f"cannot read {name} as audio ({reason or 'damaged'}); use {READABLE}"
            ) from error
        except OSError as error:
            raise TonearmError(
                f"cannot read {name} ({error.strerror}); check its permissions, or copy it"
            ) from error
        if not len(samples):
            raise TonearmError(f"{name} holds no samples; give a file with sound in it")
        if not np.isfinite(samples).all():
            raise TonearmError(f"{name} holds NaN or infinite samples; export it again")
        return cls(samples.T, sample_rate)


def _decoded(source: Source, name: str) -> tuple[np.ndarray, int]:
    """Samples float32 [N, C] and the sample rate of a file."""
    missing = missing_bytes(source)
    if missing != 0:
        part = "last page is" if missing is None else f"last {missing} bytes are"
        raise TonearmError(f"{name} is cut off: its {part} missing; copy or export it again")
    quiet = without_decoder_messages() if is_mpeg(source) else nullcontext()
    with quiet, soundfile.SoundFile(with_stated_length(source)) as file:
        _check_extent(name, file.frames, file.channels, file.samplerate)
        try:
            samples = file.read(dtype="float32", always_2d=True)
        except MemoryError:
            size = file.frames * file.channels * 4 / 2**30
            raise TonearmError(
                f"{name} needs {size:.2g} GiB of memory, more than is free; cut it into parts"
            ) from None
        if file.frames - len(samples) > UNDECODED * file.samplerate:
            raise TonearmError(
                f"{name} is damaged: {_duration(len(samples) / file.samplerate)} of "
                f"{_duration(file.frames / file.samplerate)} can be decoded; "
                "copy or export it again"
            )
        return samples, file.samplerate


def _check_extent(name: str, count: int, channels: int, sample_rate: int) -> None:
    """Raise TonearmError for a sample rate or a length that no music has."""
    if not MIN_FILE_RATE <= sample_rate <= MAX_FILE_RATE:
        raise TonearmError(
            f"{name} states a sample rate of {sample_rate} Hz; "
            f"give a file of {MIN_FILE_RATE} to {MAX_FILE_RATE} Hz"
        )
    if count == UNKNOWN_LENGTH:
        raise TonearmError(f"{name} states no length; write it to a file instead of a pipe")
    if count * channels > MAX_SAMPLES:
        raise TonearmError(
            f"{name} states {_duration(count / sample_rate)} at {sample_rate} Hz, channels: "
            f"{channels}, {count * channels * 4 / 2**30:.2g} GiB in memory; "
            f"cut it into parts of {_duration(MAX_SAMPLES / channels / sample_rate)} "
            f"({MAX_SAMPLES * 4 / 2**30:g} GiB) at most"
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.4g} s" if seconds < 600 else f"{seconds / 3600:.3g} hours"


def _as_float(given: object) -> np.ndarray:
    """Samples as float32, of which 1 is full scale."""
    try:
        samples = np.asarray(given)
    except (TypeError, ValueError, RuntimeError) as error:  # tensors on CUDA or with a gradient
        raise TonearmError(
            f"samples are no array ({error}); give an array [channels, samples]"
        ) from error
    if samples.dtype.kind == "f":
        return samples.astype(np.float32, copy=False)
    midpoint, full_scale = PCM_SCALES.get(samples.dtype.name, (0, 0))
    if not full_scale:
        raise TonearmError(
            f"samples are of type {samples.dtype}, which has no full scale; "
            f"give floats in [-1, 1], or {', '.join(PCM_SCALES)}"
        )
    return ((samples.astype(np.float64) - midpoint) / full_scale).astype(np.float32)


def _as_rate(given: object) -> int:
    try:
        rate = int(given)  # type: ignore[call-overload]
        is_rate = rate == given and 1 <= rate <= MAX_RATE
    except (TypeError, ValueError, OverflowError):
        is_rate = False
    if not is_rate or isinstance(given, bool):
        raise TonearmError(
            f"a sample rate of {quoted(given)} is not possible; "
            f"give a whole number of Hz from 1 to {MAX_RATE}"
        )
    return rate


def check_audible(clip: Clip, label: str, min_seconds: float, channels: int) -> None:
    """Check an audio input before it conditions a model, by the channels that the model receives.

    Args:
        clip: the input.
        label: its name in the message, such as "the melody".
        min_seconds: shortest length allowed.
        channels: of the model's input, 1 or 2.

    Raises:
        TonearmError: the clip is too short, not finite, or silent once its channels are mixed and
            a constant offset is removed.
    """
    if clip.seconds < min_seconds:
        raise TonearmError(f"{label} is {clip.seconds:.2f} s long; give at least {min_seconds:g} s")
    if not np.isfinite(clip.samples).all():
        raise TonearmError(f"{label} holds NaN or infinite samples; give audio without them")
    received = clip.with_channels(channels).samples.astype(np.float64)
    peak = np.abs(received - received.mean(axis=1, keepdims=True)).max()
    if peak < MIN_INPUT_PEAK:
        level = f"{20 * np.log10(peak):.0f}" if peak > SILENCE else "under -100"
        raise TonearmError(
            f"{label} is silent to the model: mixed to {'mono' if channels == 1 else 'stereo'} and "
            f"without a constant offset its peak is {level} dBFS; give audio with a peak of at "
            f"least {20 * np.log10(MIN_INPUT_PEAK):.0f} dBFS"
        )
