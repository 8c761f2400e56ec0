"""Reproduction of a take from its sidecar, bit for bit."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.generation.provenance import AudioRecord, Provenance, StackRecord, read_sidecar
from tonearm.generation.request import AudioLike, PromptSection, TakeRequest, audio_source
from tonearm.generation.side_files import input_places
from tonearm.generation.take import Take
from tonearm.hashing import hash_clip
from tonearm.model import Model, load
from tonearm.musicgen.engine import ENGINES
from tonearm.musicgen.variants import VARIANTS
from tonearm.progress import Progress
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import load_vector
from tonearm.text import quoted
from tonearm.threads import torch_threads


class _Role(NamedTuple):
    """An audio input: its name in messages, in Python, and on the command line."""

    noun: str
    argument: str
    option: str


AUDIO_PROMPT = _Role("audio prompt", "continue_from", "--continue-from")
MELODY = _Role("melody", "melody", "--melody")


@dataclass(frozen=True)
class Replay:
    """A reproduced take.

    identical    its audio equals the recorded one bit for bit
    differences  between the recorded hardware and packages and these
    """

    take: Take
    identical: bool
    differences: tuple[str, ...]


def replay(
    sidecar: str | os.PathLike[str],
    *,
    model: Model | None = None,
    checkpoint: str | None = None,
    continue_from: AudioLike | None = None,
    melody: AudioLike | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Generate a recorded take again.

    An audio prompt or melody is looked up at its recorded path beside the sidecar, then in the
    working directory, and identified by its content. The take is decoded with as many threads as it
    was made with, where the machine has the cores, which the last bits of its audio depend on.

    Args:
        sidecar: the JSON beside a take's audio.
        model: to generate with; default: loaded as recorded.
        checkpoint: name or folder of the checkpoint, if it is not where it was.
        continue_from: the audio prompt, if it is not where it was.
        melody: the melody, if it is not where it was.
        progress: called with frames done and frames in all.

    Raises:
        TonearmError: other weights, or a vector or audio input that is gone or has changed.
    """
    sidecar = Path(boundary.path(sidecar, "sidecar"))
    boundary.optional(_model, model, "model")
    checkpoint = boundary.optional(boundary.path, checkpoint, "checkpoint")
    progress = boundary.optional(boundary.function, progress, "progress")
    recorded = read_sidecar(sidecar)
    prompt = _input(recorded.audio_prompt, continue_from, AUDIO_PROMPT, sidecar)
    tune = _input(recorded.melody, melody, MELODY, sidecar)
    model = model or _load(recorded, checkpoint, sidecar)
    if recorded.engine in ENGINES:
        model = model.with_engine(recorded.engine)
    shape = model.shape
    if shape.fingerprint != recorded.checkpoint.fingerprint:
        raise TonearmError(
            f"{sidecar}: made with weights {shortened(recorded.checkpoint.fingerprint)} of "
            f"{shortened(recorded.checkpoint.name)}, but {shape.name} has {shape.fingerprint}; "
            "name the checkpoint it was made with (--model)"
        )
    _check_frames(recorded, shape.frame_rate, sidecar)
    with _naming(sidecar):
        vectors = _vectors(recorded, model, sidecar)
        request = TakeRequest(
            recorded.prompt,
            recorded.seed,
            recorded.steering,
            recorded.sampling.sampling(),
            recorded.negative,
            recorded.new_seconds,
            prompt,
            tune,
            tuple(
                PromptSection(one.frame / shape.frame_rate, one.prompt) for one in recorded.sections
            ),
        )
        with torch_threads(recorded.stack.threads):
            here = StackRecord.here(model.checkpoint.device, model.checkpoint.precision)
            take = model.reproduce(
                request,
                recorded.batch,
                vectors,
                progress,
                [one.rewind() for one in recorded.rewinds],
            )
        if recorded.trims is not None:
            take = take.trimmed(recorded.trims)
    # the original request, in place of its strengths and its extended prompt
    asked = {name: getattr(recorded, name) for name in ("requested", "stated", "requested_prompt")}
    take = replace(take, provenance=take.provenance.model_copy(update=asked))
    differences = recorded.stack.differences(here)
    if recorded.engine != model.engine.name:
        differences.append(f"engine: {recorded.engine} then, {model.engine.name} now")
    identical = take.provenance.audio_sha256 == recorded.audio_sha256
    return Replay(take, identical, tuple(differences))


def _model(value: object, name: str) -> Model:
    return boundary.instance(value, name, Model, "a Model, as tonearm.load returns it")


def _load(recorded: Provenance, checkpoint: str | None, sidecar: Path) -> Model:
    name = checkpoint or recorded.checkpoint.name
    is_known = name in VARIANTS or name.count("/") == 1 or Path(name).is_dir()
    if checkpoint is None and not is_known:
        raise TonearmError(
            f"{sidecar}: made with the checkpoint folder {quoted(name)}; name its place now (--model)"
        )
    stack = recorded.stack
    device = stack.device if stack.device in ("cpu", "mps") else "cuda"  # else a GPU's name
    with _naming(sidecar):
        return load(name, device=device, dtype=stack.dtype)


@contextmanager
def _naming(sidecar: Path) -> Iterator[None]:
    """Name the sidecar in errors about its content."""
    try:
        yield
    except TonearmError as error:
        named = str(sidecar) in str(error)
        raise TonearmError(str(error) if named else f"{sidecar}: {error}") from error


def _check_frames(recorded: Provenance, rate: int, sidecar: Path) -> None:
    known = recorded.frames - round(recorded.new_seconds * rate)
    if known < 0 or (known > 0) != (recorded.audio_prompt is not None):
        raise TonearmError(
            f"{sidecar}: frames {recorded.frames} and new_seconds {recorded.new_seconds:g} do not "
            f"belong together at {rate} frames per second; the JSON was changed since the take was made"
        )


def _vectors(recorded: Provenance, model: Model, sidecar: Path) -> dict[str, SteeringVector]:
    vectors: dict[str, SteeringVector] = {}
    for name, record in recorded.vectors.items():
        vector = load_vector(sidecar.parent / record.file) if record.file else model.vectors[name]
        if vector.content_hash() != record.content_hash:
            raise TonearmError(
                f"{sidecar}: vector {shortened(name)} has changed since "
                f"({record.content_hash[:8]} then); the take cannot be reproduced"
            )
        scales = vector.info.frame_scales
        if record.frame_scales_hash and (
            scales is None or scales.content_hash() != record.frame_scales_hash
        ):
            raise TonearmError(
                f"{sidecar}: the frame scales of vector {shortened(name)}, the unit of its level, "
                f"have changed since ({record.frame_scales_hash[:8]} then); the take cannot be "
                "reproduced"
            )
        vectors[name] = vector
    return vectors


def _input(
    record: AudioRecord | None, given: AudioLike | None, role: _Role, sidecar: Path
) -> Clip | None:
    """Find an audio input of the take.

    Args:
        record: of the input; None if the take has none.
        given: the input, if it is not where it was.
        role: of the input.
        sidecar: of the take.

    Raises:
        TonearmError: no such file, or its content is another.
    """
    if record is None:
        if given is not None:
            raise TonearmError(f"{sidecar}: the take has no {role.noun}; leave out {role.option}")
        return None
    if given is not None:
        source = audio_source(given, role.argument)
        clip = source if isinstance(source, Clip) else Clip.read(source)
        if hash_clip(clip) == record.sha256:
            return clip
        shown = "this audio" if isinstance(source, Clip) else source
        raise TonearmError(
            f"{sidecar}: {shown} is not the {role.noun} of the take, which has the content hash "
            f"{shortened(record.sha256)}; give the file as it was"
        )
    places = input_places(sidecar, record.file) if record.file else []
    found = [place for place in places if place.is_file()]
    for place in found:
        with suppress(TonearmError):  # another file of that name
            clip = Clip.read(place)
            if hash_clip(clip) == record.sha256:
                return clip
    if found:
        raise TonearmError(
            f"{sidecar}: {found[0]} has changed since; name the {role.noun} as it was "
            f"({role.option})"
        )
    raise TonearmError(
        f"{sidecar}: no audio file at {places[0] if places else 'any path'}; "
        f"name the {role.noun} where it is now ({role.option})"
    )
