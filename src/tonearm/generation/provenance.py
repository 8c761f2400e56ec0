"""Provenance of a take: everything needed to reproduce it, as the JSON beside its audio."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, model_validator

from tonearm.errors import TonearmError
from tonearm.musicgen.sampling import Sampling
from tonearm.schema import validated
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Steering

SIDECAR_FORMAT = 2
RECORDED_PACKAGES = ("tonearm", "torch", "transformers", "numpy")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SamplingRecord(_Record):
    guidance: float
    temperature: float
    top_k: int
    top_p: float
    guidance_schedule: Schedule | None = None
    temperature_schedule: Schedule | None = None

    @classmethod
    def of(cls, sampling: Sampling) -> "SamplingRecord":
        return cls(**{name: getattr(sampling, name) for name in cls.model_fields})

    def sampling(self) -> Sampling:
        return Sampling(**dict(self))


class VectorRecord(_Record):
    """`file` is relative to the sidecar; absent for a vector that ships with Tonearm."""

    content_hash: str
    bundled: bool
    file: str | None = None


class AudioRecord(_Record):
    """An audio prompt or melody. `file` is absolute, or relative to the sidecar."""

    sha256: str
    seconds: float
    file: str | None = None


class CheckpointRecord(_Record):
    name: str
    fingerprint: str
    licence: str


class BatchRecord(_Record):
    """Place of the take in its batch: the last bits of matrix products can depend on the batch's
    shape.

    size, row      rows of the batch, and the take's own
    text_tokens    length to which texts were padded
    guided         the batch had unconditional rows
    negative_rows  rows with a negative prompt
    text_group     rows that shared text keys and values (cross-attention checkpoints)
    """

    size: PositiveInt
    row: NonNegativeInt
    text_tokens: int
    guided: bool
    negative_rows: tuple[NonNegativeInt, ...] = ()
    text_group: PositiveInt = 1

    @model_validator(mode="after")
    def _within(self) -> "BatchRecord":
        if self.row >= self.size:
            raise ValueError(f"row {self.row} is outside a batch of {self.size}")
        if any(row >= self.size for row in self.negative_rows):
            raise ValueError(f"negative_rows are outside a batch of {self.size}")
        if (self.size + len(self.negative_rows)) % self.text_group:
            raise ValueError(f"rows with text do not divide into groups of {self.text_group}")
        return self


class StackRecord(_Record):
    """Hardware and packages that computed the take."""

    device: str
    dtype: str
    threads: int
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
    """Record of one take. `new_seconds` counts new music, `frames` the audio prompt too."""

    format: int = SIDECAR_FORMAT
    kind: Literal["tonearm take"] = "tonearm take"
    prompt: str
    negative: str | None = None
    new_seconds: float
    frames: int
    seed: int
    sampling: SamplingRecord
    steering: Steering
    vectors: dict[str, VectorRecord] = {}
    checkpoint: CheckpointRecord
    engine: str
    batch: BatchRecord
    audio_prompt: AudioRecord | None = None
    melody: AudioRecord | None = None
    stack: StackRecord
    codes_sha256: str
    audio_sha256: str
    audio_file: str | None = None


def read_sidecar(path: str | os.PathLike[str]) -> Provenance:
    """Read a take's sidecar. Raises TonearmError for a file that is absent or not a sidecar."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TonearmError(f"no file at {path}; give the .json beside a take's audio") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TonearmError(
            f"cannot read {path} as a take's JSON ({error}); give the .json beside a take's audio"
        ) from None
    if not isinstance(content, dict) or content.get("kind") != "tonearm take":
        raise TonearmError(f"{path} is not a take's sidecar; give the .json beside a take's audio")
    if isinstance(content.get("format"), int) and content["format"] > SIDECAR_FORMAT:
        raise TonearmError(
            f"{path} has sidecar format {content['format']}, this Tonearm reads up to {SIDECAR_FORMAT}; update Tonearm"
        )
    content.pop("measured", None)
    return validated(Provenance, content, where=str(path))
