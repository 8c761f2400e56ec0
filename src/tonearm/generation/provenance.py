"""Provenance of a take: everything needed to reproduce it, as the JSON beside its audio."""

import json
import os
import platform
from importlib.metadata import version
from itertools import pairwise
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tonearm.errors import TonearmError
from tonearm.files.text_file import read_json
from tonearm.musicgen.kept_codes import Rewind
from tonearm.musicgen.sampling import Sampling, check_sampling
from tonearm.processing import Trims
from tonearm.schema import validated
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import MAX_STEERS, Steering
from tonearm.text import check_path, quoted

SIDECAR_FORMAT = 8  # files of earlier formats are read too
KIND: Literal["tonearm take"] = "tonearm take"
REMEDY = "give the .json beside a take's audio"
RECORDED_PACKAGES = ("tonearm", "torch", "transformers", "numpy")

# Largest values in a sidecar, whose numbers become sizes of tensors on replay.
MAX_SECONDS = 1e6  # of a stream
MAX_FRAMES = 10**8
MAX_ROWS = 4096
MAX_TEXT_TOKENS = 16_384
MAX_STATEMENT = 10_000  # characters
MAX_COUNT = 2**31 - 1
MAX_REWINDS = 200_000  # of one take: more than two hours of a change in every second frame
MAX_SECTIONS = 4096  # of one take; the texts of all of them are encoded before decoding starts


def _possible_path(path: str) -> str:
    try:
        check_path(path, "the path")
    except TonearmError as error:
        raise ValueError(str(error)) from None
    return path


Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Frames = Annotated[int, Field(ge=1, le=MAX_FRAMES)]
Row = Annotated[int, Field(ge=0, lt=MAX_ROWS)]
Rows = Annotated[int, Field(ge=1, le=MAX_ROWS)]
Seconds = Annotated[float, Field(ge=0, le=MAX_SECONDS)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
FilePath = Annotated[str, Field(min_length=1), AfterValidator(_possible_path)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SamplingRecord(_Record):
    guidance: float
    temperature: float
    top_k: Count
    top_p: float
    guidance_schedule: Schedule | None = None
    temperature_schedule: Schedule | None = None

    @model_validator(mode="after")
    def _within(self) -> "SamplingRecord":
        try:
            check_sampling(self.sampling())
        except TonearmError as error:
            raise ValueError(str(error)) from None
        return self

    @classmethod
    def of(cls, sampling: Sampling) -> "SamplingRecord":
        return cls(**{name: getattr(sampling, name) for name in cls.model_fields})

    def sampling(self) -> Sampling:
        return Sampling(**dict(self))


class VectorRecord(_Record):
    """`file` is relative to the sidecar; absent for a vector that ships with Tonearm.
    `frame_scales_hash` is that of its frame scales, where operator set used them.
    """

    content_hash: str
    frame_scales_hash: str | None = None
    bundled: bool
    file: FilePath | None = None


class AudioRecord(_Record):
    """An audio prompt or melody. `file`, set when the take is saved, is relative to the sidecar, or
    a name alone; older sidecars hold absolute paths.
    """

    sha256: str
    seconds: Seconds
    file: FilePath | None = None


class CheckpointRecord(_Record):
    name: FilePath
    fingerprint: str
    licence: str


class TextRecord(_Record):
    """How the texts of a section were encoded; the fields are those of `BatchRecord`."""

    text_tokens: int = Field(ge=0, le=MAX_TEXT_TOKENS)
    text_group: Rows = 1


class BatchRecord(_Record):
    """Place of the take in its batch: the last bits of matrix products can depend on the batch's
    shape, and those of the audio on the number of rows that the codec decodes together.

    size, row      rows of the batch, and the take's own
    text_tokens    length to which texts were padded
    frames         length for which caches were allocated: of the longest row, or, of a stream
                   without a given length, to the end of the window in which it was stopped;
                   sidecars of older versions have none
    guided         the batch had unconditional rows
    negative_rows  rows with a negative prompt
    text_group     rows that shared text keys and values (cross-attention checkpoints)
    sections       the same two of each further section of the take
    codec_rows     rows whose audio was decoded together; one in sidecars before format 4
    codec_row      the take's own among them
    """

    size: Rows
    row: Row
    text_tokens: int = Field(ge=0, le=MAX_TEXT_TOKENS)
    guided: bool
    frames: Frames | None = None
    negative_rows: tuple[Row, ...] = ()
    text_group: Rows = 1
    sections: Annotated[tuple[TextRecord, ...], Field(max_length=MAX_SECTIONS)] = ()
    codec_rows: Rows = 1
    codec_row: Row = 0

    @model_validator(mode="after")
    def _within(self) -> "BatchRecord":
        if self.row >= self.size:
            raise ValueError(f"row {self.row} is outside a batch of {self.size}")
        if any(row >= self.size for row in self.negative_rows):
            raise ValueError(f"negative_rows are outside a batch of {self.size}")
        if list(self.negative_rows) != sorted(set(self.negative_rows)):
            raise ValueError("negative_rows are not in order, or one is there twice")
        for group in (self.text_group, *(one.text_group for one in self.sections)):
            if (self.size + len(self.negative_rows)) % group:
                raise ValueError(f"rows with text do not divide into groups of {group}")
        if self.codec_row >= self.codec_rows:
            raise ValueError(f"codec_row {self.codec_row} is outside of {self.codec_rows} rows")
        if self.codec_rows > self.size:
            raise ValueError(f"codec_rows {self.codec_rows} is more than a batch of {self.size}")
        return self


class SectionRecord(_Record):
    """A prompt that the model read from `frame` on, audio prompt included."""

    frame: Frames
    prompt: str


class RewindRecord(_Record):
    """A frame from which a stream was decided again, and the codes of frames before it that the
    decoding kept (musicgen/kept_codes.py).
    """

    frame: Frames
    codes: tuple[tuple[Count, ...], ...]

    @classmethod
    def of(cls, rewind: Rewind) -> "RewindRecord":
        return cls(frame=rewind.frame, codes=rewind.codes)

    def rewind(self) -> Rewind:
        return Rewind(self.frame, self.codes)


class MonitorRecord(_Record):
    """How a monitored steer acted.

    steer  its index in the steering
    acted  share of the new frames at which its strength was not 0
    """

    steer: Annotated[int, Field(ge=0, lt=MAX_STEERS)]
    acted: Annotated[float, Field(ge=0, le=1)]

    @classmethod
    def of(cls, steer: int, strengths: torch.Tensor) -> "MonitorRecord":
        """The record of a steer, from its strengths at the new frames as they acted, [T]."""
        return cls(steer=steer, acted=round(float((strengths != 0).float().mean()), 6))


class StackRecord(_Record):
    """Hardware and packages that computed the take."""

    device: str
    dtype: str
    threads: Count
    cpu: str
    python: str
    packages: dict[str, str]

    @classmethod
    def here(cls, device: torch.device, dtype: str) -> "StackRecord":
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return cls(
            device=name,
            dtype=dtype,
            threads=torch.get_num_threads(),
            cpu=f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
            python=platform.python_version(),
            packages={package: version(package) for package in RECORDED_PACKAGES},
        )

    def differences(self, other: "StackRecord") -> list[str]:
        """One line per difference, `self` first."""
        ours, theirs = (record.model_dump() | record.packages for record in (self, other))
        keys = [key for key in ours if key != "packages"]
        return [
            f"{key}: {ours[key]} then, {theirs.get(key)} now"
            for key in keys
            if ours[key] != theirs.get(key)
        ]


class Provenance(_Record):
    """Record of one take. `new_seconds` counts new music, `frames` the audio prompt too.

    `steering` has strengths, from which the take is reproduced; `requested` is the steering from
    which they came, where it had targets, amounts or a rule of combination. `stated` is the steering
    in words, as it was played, of a take whose settings could change while it played; `requested` is
    that at its start then. `prompt` is the text that
    the model read; `requested_prompt` is that of the user, where a tempo was written into it.
    `sections` are the prompts that followed it, where the prompt changed. `trims` are those of the
    audio after decoding, where there are any. `monitored` says how often steers with a monitor
    acted. `rewinds` are those of a stream whose changes acted before they were asked for.
    """

    format: Annotated[int, Field(ge=1, le=SIDECAR_FORMAT)] = SIDECAR_FORMAT
    kind: Literal["tonearm take"] = KIND
    prompt: str
    requested_prompt: str | None = None
    sections: Annotated[tuple[SectionRecord, ...], Field(max_length=MAX_SECTIONS)] = ()
    negative: str | None = None
    new_seconds: Annotated[Seconds, Field(gt=0)]
    frames: Frames
    seed: Seed
    sampling: SamplingRecord
    steering: Steering
    requested: Steering | None = None
    stated: str | None = Field(default=None, max_length=MAX_STATEMENT)
    rewinds: Annotated[tuple[RewindRecord, ...], Field(max_length=MAX_REWINDS)] = ()
    vectors: dict[str, VectorRecord] = {}
    monitored: tuple[MonitorRecord, ...] = ()
    checkpoint: CheckpointRecord
    engine: str
    batch: BatchRecord
    audio_prompt: AudioRecord | None = None
    melody: AudioRecord | None = None
    stack: StackRecord
    codes_sha256: str
    trims: Trims | None = None
    audio_sha256: str
    audio_file: str | None = None

    @property
    def stated_steering(self) -> Steering:
        """The steering as it was requested, with its amounts and its rule of combination."""
        return self.requested or self.steering

    @property
    def statement(self) -> str:
        """The steering in words: as it was played, or as it was requested."""
        return self.stated or str(self.stated_steering)

    @model_validator(mode="after")
    def _within(self) -> "Provenance":
        if self.batch.frames is not None and self.batch.frames < self.frames:
            raise ValueError(
                f"batch.frames {self.batch.frames} is less than the take's {self.frames} frames"
            )
        starts = [0, *(one.frame for one in self.sections), self.frames]
        if any(later <= before for before, later in pairwise(starts)):
            raise ValueError(
                f"sections do not begin in order of time within the take's {self.frames} frames"
            )
        rewinds = [0, *(one.frame for one in self.rewinds), self.frames + 1]
        if any(later <= before for before, later in pairwise(rewinds)):
            raise ValueError(
                f"rewinds are not in order of time within the take's {self.frames} frames"
            )
        if len(self.sections) != len(self.batch.sections):
            raise ValueError(
                f"there are {len(self.sections)} sections, and {len(self.batch.sections)} in batch"
            )
        for one in self.monitored:
            if one.steer >= len(self.steering.steers):
                raise ValueError(
                    f"monitored names steer {one.steer} of {len(self.steering.steers)}"
                )
        return self


def read_sidecar(path: str | os.PathLike[str]) -> Provenance:
    """Read a take's sidecar. Raises TonearmError for a file that is absent or not a sidecar."""
    return read_take(path)[0]


def read_take(path: str | os.PathLike[str]) -> tuple[Provenance, dict[str, Any]]:
    """Read a take's sidecar, as its provenance and as plain JSON, with the take's measurements.

    Args:
        path: of the sidecar.

    Raises:
        TonearmError: the file is absent, too large, or not a sidecar.
    """
    content = read_json(path, "sidecar", REMEDY)
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise TonearmError(f"{path} is not a take's sidecar; {REMEDY}")
    number = content.get("format")
    if isinstance(number, int) and number > SIDECAR_FORMAT:
        raise TonearmError(
            f"{path} has sidecar format {quoted(number)}, this Tonearm reads up to "
            f"{SIDECAR_FORMAT}; update Tonearm"
        )
    stated = {key: value for key, value in content.items() if key != "measured"}
    try:
        json.dumps(content.get("measured"), allow_nan=False)
    except ValueError:
        raise TonearmError(
            f"{path}: measured holds a number that is not finite; {REMEDY}"
        ) from None
    return validated(Provenance, stated, where=str(path)), content
