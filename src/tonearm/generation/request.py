"""Rows: takes to be made, and all that has to be right before the first frame of any of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.provenance import AudioRecord, sha256_of
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import check_melody, encode_audio, text_room
from tonearm.musicgen.sampling import Sampling, check_guidance
from tonearm.steering.resolve import compile_plan
from tonearm.steering.spec import Steering
from tonearm.steering.vector import SteeringVector

MAX_SEED = 2**63 - 1
MAX_SECONDS = 3600
AudioLike = Clip | str | os.PathLike[str]


@dataclass(frozen=True)
class TakeRequest:
    """One take to be made: rows of one batch may differ in all of it. Arguments as for `Model.generate`."""

    prompt: str
    seed: int
    steering: Steering = field(default_factory=Steering)
    sampling: Sampling | None = None  # the checkpoint's own
    negative: str | None = None
    seconds: float = 10.0
    continue_from: AudioLike | None = None
    melody: AudioLike | None = None


@dataclass(frozen=True)
class Input:
    """An audio prompt or melody, with the file it came from."""

    clip: Clip
    file: str | None

    @classmethod
    def read(cls, audio: AudioLike) -> "Input":
        if isinstance(audio, Clip):
            return cls(audio, None)
        return cls(Clip.read(audio), str(Path(audio).absolute()))

    @cached_property
    def sha256(self) -> str:
        return sha256_of(self.clip)

    def record(self) -> AudioRecord:
        return AudioRecord(sha256=self.sha256, seconds=self.clip.seconds, file=self.file)


@dataclass(frozen=True)
class PreparedRequest:
    """A row that was checked: `sampling` is there, `steering` names every source layer, `frames` counts the audio prompt's [K, T0] too."""

    row: TakeRequest
    sampling: Sampling
    steering: Steering
    frames: int
    text_tokens: int
    prompt_codes: torch.Tensor | None
    audio_prompt: Input | None
    melody: Input | None

    @property
    def prompt_frames(self) -> int:
        return 0 if self.prompt_codes is None else self.prompt_codes.shape[1]

    @property
    def company(self) -> tuple:
        """What the rows of one batch have to agree in. Prefix checkpoints read the padding of a text, so a row must not be padded to a neighbour's."""
        return (self.text_tokens, self.prompt_frames, self.melody.sha256 if self.melody else "")

    @property
    def inputs(self) -> dict[str, Clip]:
        given = {"audio_prompt": self.audio_prompt, "melody": self.melody}
        return {key: value.clip for key, value in given.items() if value}


def prepare(
    checkpoint: Checkpoint, rows: Sequence[TakeRequest], vectors: Mapping[str, SteeringVector]
) -> list[PreparedRequest]:
    """Read the rows' inputs, and check them against the checkpoint; raises TonearmError for the first thing that cannot be."""
    inputs, codes = _Inputs(), {}
    prepared = []
    for row in rows:
        audio_prompt, melody = inputs.read(row.continue_from), inputs.read(row.melody)
        if audio_prompt and id(audio_prompt) not in codes:
            codes[id(audio_prompt)] = encode_audio(checkpoint, audio_prompt.clip)
        prompt_codes = codes[id(audio_prompt)] if audio_prompt else None
        if melody:
            check_melody(checkpoint, melody.clip)
        frames = _frames(checkpoint, row.seconds, 0 if prompt_codes is None else prompt_codes.shape[1])
        _check_schedules(row.steering, frames / checkpoint.frame_rate, checkpoint.frame_rate)
        room = text_room(checkpoint, row.prompt, row.negative)
        steering = _with_source_layers(row.steering, vectors)
        sampling = _sampling(checkpoint, row)
        prepared.append(PreparedRequest(row, sampling, steering, frames, room, prompt_codes, audio_prompt, melody))
    compile_plan(
        checkpoint, [one.steering for one in prepared], vectors, frames=1, live=True
    )  # finds what cannot be steered
    return prepared


def check(checkpoint: Checkpoint, rows: Sequence[TakeRequest]) -> None:
    """What can be told of rows before their inputs are read; raises TonearmError for the first thing that cannot be."""
    if not rows:
        raise TonearmError("no prompt was given; give at least one")
    for row in rows:
        _check(row, _sampling(checkpoint, row))


class _Inputs:
    """Audio that many rows name is read once."""

    def __init__(self) -> None:
        self.known: dict[object, Input] = {}

    def read(self, audio: AudioLike | None) -> Input | None:
        if audio is None:
            return None
        key = id(audio) if isinstance(audio, Clip) else os.fspath(audio)
        if key not in self.known:
            self.known[key] = Input.read(audio)
        return self.known[key]


def _frames(checkpoint: Checkpoint, seconds: float, prompt_frames: int) -> int:
    rate = checkpoint.frame_rate
    new = round(seconds * rate) if seconds == seconds and abs(seconds) < 1e6 else 0
    least = max(1, checkpoint.codebooks // checkpoint.channels - 1)
    if new < least or seconds > MAX_SECONDS:
        raise TonearmError(f"{seconds:g} s is not possible; ask for {least / rate:g} to {MAX_SECONDS} s")
    if prompt_frames + least > checkpoint.max_frames:
        raise TonearmError(
            f"an audio prompt of {prompt_frames / rate:.2f} s fills {checkpoint.name}'s window of {checkpoint.window_seconds:g} s; "
            f"crop it to less than {checkpoint.window_seconds - least / rate:g} s"
        )
    return prompt_frames + new


def _check_schedules(steering: Steering, seconds: float, rate: float) -> None:
    """A schedule that is silent until the clip has ended would steer nothing, and nobody would know."""
    times = np.arange(round(seconds * rate)) / rate
    for steer in steering.steers:
        schedule = steer.schedule
        if schedule is None or schedule.factors(times).any() or not any(factor for _, factor in schedule.points):
            continue
        begins = next(before for before, (_, factor) in pairwise(((0.0, 0.0), *schedule.points)) if factor)[0]
        raise TonearmError(
            f"the schedule of {steer.vector} is zero until {begins:g} s, when the clip of {seconds:g} s is over; "
            "let it begin earlier, or ask for more seconds"
        )


def _sampling(checkpoint: Checkpoint, row: TakeRequest) -> Sampling:
    return row.sampling or checkpoint.sampling


def _check(row: TakeRequest, sampling: Sampling) -> None:
    if not row.prompt.strip():
        raise TonearmError("the prompt is empty; describe the music in a few words")
    if not isinstance(row.seed, int) or not 0 <= row.seed <= MAX_SEED:
        raise TonearmError(f"seed {row.seed!r} is not possible; use a whole number from 0 to {MAX_SEED}")
    check_guidance(sampling.guidance)
    if not 0 <= sampling.temperature <= 10:
        raise TonearmError(
            f"temperature {sampling.temperature:g} is not possible; use 0 to 10 (1 is usual, 0 takes the likeliest code)"
        )
    strongest = sampling.strongest_guidance
    if strongest <= 1 and row.negative:
        raise TonearmError(
            f"a negative prompt acts through guidance, which is off at {strongest:g}; use guidance above 1"
        )
    if strongest <= 1 and any(steer.branch == "unconditional" for steer in row.steering.steers):
        raise TonearmError(f"branch unconditional needs guidance, which is off at {strongest:g}; use guidance above 1")
    if not sampling.top_k >= 0:
        raise TonearmError(f"top_k {sampling.top_k} is not possible; use 1 or more, or 0 for no limit")
    if not 0 < sampling.top_p <= 1:
        raise TonearmError(f"top_p {sampling.top_p:g} is not possible; use above 0 up to 1")


def _with_source_layers(steering: Steering, vectors: Mapping[str, SteeringVector]) -> Steering:
    """The steering with every source layer written out, so that a sidecar does not depend on a vector file's best layer."""
    steers = []
    for steer in steering.steers:
        best = vectors[steer.vector].info.best_layer
        if steer.strategy != "all-to-all" and steer.source_layer is None and best is not None:
            steer = steer.model_copy(update={"source_layer": best})
        steers.append(steer)
    return Steering(steers=tuple(steers))
