"""A study as data: stages of trials, each a take and what is measured of it.

A stage is a function from what the earlier ones found to trials: a strength that neutral prompts
chose, or the gain of a filter that is matched to an effect. Stages are pure, and a run that resumes
calls them again.

The key of a take is the hash of everything that determines its audio. Equal takes of several trials,
stages and studies are so made once per store.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tonearm.audio import Clip
from tonearm.backend import ModelShape
from tonearm.errors import TonearmError
from tonearm.generation.provenance import SamplingRecord
from tonearm.generation.request import TakeRequest
from tonearm.hashing import hash_clip
from tonearm.model import Model
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Steering, SteeringVector
from tonearm.steering.combination import with_combined_strengths
from tonearm.studies.records import Record
from tonearm.text import quoted

Facts = Mapping[str, Any]  # values of JSON
Vectors = Mapping[str, SteeringVector]


@dataclass(frozen=True)
class Processing:
    """Signal processing of a take's audio.

    name        of a function in `tonearm.studies.processing`
    parameters  of it
    """

    name: str
    parameters: Mapping[str, float]


@dataclass(frozen=True)
class Trial:
    """One take of a study.

    request     with the names of the study's vectors; audio prompt and melody are clips
    facts       labels of its record, such as its condition and the number of its prompt; JSON
    groups      that measure it (`tonearm.studies.measure_groups`, `tonearm.studies.model_groups`)
    text        which the CLAP score compares with; None for the request's prompt
    other_text  of the control of that score; None for the same
    processing  of the audio, None for none
    """

    request: TakeRequest
    facts: Facts
    groups: tuple[str, ...]
    text: str | None = None
    other_text: str | None = None
    processing: Processing | None = None

    def __post_init__(self) -> None:
        for name in ("continue_from", "melody"):
            if not isinstance(getattr(self.request, name), Clip | None):
                raise TonearmError(f"the {name} of a trial is no clip; read the file first")

    @property
    def arguments(self) -> dict[str, str]:
        """Texts that its measures compare the audio with."""
        text = self.request.prompt if self.text is None else self.text
        return {"text": text, "other_text": text if self.other_text is None else self.other_text}

    @property
    def unprocessed(self) -> "Trial":
        """The trial of the audio that is processed."""
        return replace(self, processing=None)


@dataclass(frozen=True, eq=False)
class Found:
    """What the stages before one have found; one object per stage.

    records  of their trials
    clip     reads the audio of a record's take
    """

    records: Sequence[Record]
    clip: Callable[[Record], Clip]


Stage = Callable[[Found], Sequence[Trial]]


@dataclass(frozen=True)
class Study:
    """Stages in order, by name, and the vectors that their requests name.

    name     of the study, in a store
    stages   each a pure function from what the stages before it found to trials
    vectors  by name
    details  what a report states of the study: model, prompts, smoke or whole; JSON
    """

    name: str
    stages: Mapping[str, Stage]
    vectors: Vectors
    details: Facts = field(default_factory=dict)


@dataclass(frozen=True)
class Stack:
    """What computes the takes: a checkpoint and its numerics.

    shape      of the checkpoint
    device     type of the device, such as cpu
    precision  of the weights
    engine     name of the engine
    sampling   default of the checkpoint
    """

    shape: ModelShape
    device: str
    precision: str
    engine: str
    sampling: Sampling

    @classmethod
    def of(cls, model: Model) -> "Stack":
        checkpoint = model.checkpoint
        return cls(
            model.shape,
            checkpoint.device.type,
            checkpoint.precision,
            model.engine.name,
            model.sampling(),
        )


def take_key(trial: Trial, stack: Stack, vectors: Vectors) -> str:
    """Identify the audio of a trial.

    Args:
        trial: its request and processing count, its facts and measures do not.
        stack: that computes it.
        vectors: by the names in the request.

    Returns:
        32 hexadecimal digits.

    Raises:
        TonearmError: an unknown vector, or an amount of a vector without a calibration.
    """
    content = json.dumps(describe_take(trial, stack, vectors), sort_keys=True, allow_nan=False)
    return hashlib.sha256(content.encode("utf-8")).hexdigest()[:32]


def describe_take(trial: Trial, stack: Stack, vectors: Vectors) -> dict[str, Any]:
    """Describe everything that determines the audio of a trial, as JSON; see `take_key`."""
    request = trial.request
    # Absent where there are none, so that the keys of takes with one prompt stay as they are.
    sections = {"sections": [list(one) for one in request.sections]} if request.sections else {}
    return sections | {
        "checkpoint": stack.shape.fingerprint,
        "device": stack.device,
        "precision": stack.precision,
        "engine": stack.engine,
        "prompt": request.prompt,
        "negative": request.negative,
        "seed": request.seed,
        "seconds": request.seconds,
        "sampling": SamplingRecord.of(request.sampling or stack.sampling).model_dump(mode="json"),
        "steering": _described_steering(request.steering, vectors),
        "continue_from": _described_clip(request.continue_from),
        "melody": _described_clip(request.melody),
        "processing": trial.processing
        and {
            "name": trial.processing.name,
            "parameters": dict(trial.processing.parameters),
        },
    }


def _described_steering(steering: Steering, vectors: Vectors) -> list[dict[str, Any]]:
    """Steers with strengths, and vectors by content, so that their names do not count."""
    for name in sorted({steer.vector for steer in steering.steers} - vectors.keys()):
        raise TonearmError(f"the study has no vector {quoted(name)}; add it to the study")
    described: list[dict[str, Any]] = []
    combined = with_combined_strengths(steering, vectors)
    for steer in combined.steers:
        vector = vectors[steer.vector]
        fields = steer.model_dump(mode="json", exclude_defaults=True)
        fields["vector"] = vector.content_hash()
        if steer.source_layer is None and steer.strategy != "all-to-all":
            fields["source_layer"] = vector.info.best_layer
        if steer.operator == "set" and vector.info.frame_scales is not None:
            fields["frame_scales"] = vector.info.frame_scales.content_hash()
        described.append(fields)
    if combined.combine != "none":
        described.append({"combine": combined.combine})
    return described


def _described_clip(clip: object) -> str | None:
    return hash_clip(clip) if isinstance(clip, Clip) else None
