"""Reproduction of a take from its sidecar, bit for bit."""

import os
from dataclasses import dataclass
from pathlib import Path

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.provenance import AudioRecord, Provenance, StackRecord, read_sidecar
from tonearm.generation.request import TakeRequest
from tonearm.generation.take import Take
from tonearm.hashing import hash_clip
from tonearm.model import Model, load
from tonearm.musicgen.engine import ENGINES
from tonearm.musicgen.variants import VARIANTS
from tonearm.progress import Progress
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import load_vector


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
    progress: Progress | None = None,
) -> Replay:
    """Generate a recorded take again.

    Args:
        sidecar: the JSON beside a take's audio.
        model: to generate with; default: loaded as recorded.
        checkpoint: name or folder of the checkpoint, if it is not where it was.
        progress: called with frames done and frames in all.

    Raises:
        TonearmError: other weights, or a vector or audio input that is gone or has changed.
    """
    sidecar = Path(boundary.path(sidecar, "sidecar"))
    boundary.optional(_model, model, "model")
    checkpoint = boundary.optional(boundary.path, checkpoint, "checkpoint")
    progress = boundary.optional(boundary.function, progress, "progress")
    recorded = read_sidecar(sidecar)
    model = model or _load(recorded, checkpoint, sidecar)
    if recorded.engine in ENGINES:
        model = model.with_engine(recorded.engine)
    shape = model.shape
    if shape.fingerprint != recorded.checkpoint.fingerprint:
        raise TonearmError(
            f"{sidecar}: made with weights {recorded.checkpoint.fingerprint} of "
            f"{recorded.checkpoint.name}, but {shape.name} has {shape.fingerprint}; "
            "name the checkpoint it was made with (--model)"
        )
    vectors = _vectors(recorded, model, sidecar)
    request = TakeRequest(
        recorded.prompt,
        recorded.seed,
        recorded.steering,
        recorded.sampling.sampling(),
        recorded.negative,
        recorded.new_seconds,
        _input(recorded.audio_prompt, sidecar),
        _input(recorded.melody, sidecar),
    )
    take = model.reproduce(request, recorded.batch, vectors, progress)
    here = StackRecord.here(model.checkpoint.device, model.checkpoint.precision)
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
            f"{sidecar}: made with the checkpoint folder {name!r}; name its place now (--model)"
        )
    stack = recorded.stack
    device = stack.device if stack.device in ("cpu", "mps") else "cuda"  # else a GPU's name
    return load(name, device=device, dtype=stack.dtype)


def _vectors(recorded: Provenance, model: Model, sidecar: Path) -> dict[str, SteeringVector]:
    vectors: dict[str, SteeringVector] = {}
    for name, record in recorded.vectors.items():
        vector = load_vector(sidecar.parent / record.file) if record.file else model.vectors[name]
        if vector.content_hash() != record.content_hash:
            raise TonearmError(
                f"{sidecar}: vector {name} has changed since ({record.content_hash[:8]} then); "
                "the take cannot be reproduced"
            )
        vectors[name] = vector
    return vectors


def _input(record: AudioRecord | None, sidecar: Path) -> Clip | None:
    if record is None:
        return None
    clip = Clip.read(sidecar.parent / (record.file or ""))
    if hash_clip(clip) != record.sha256:
        raise TonearmError(
            f"{sidecar}: {record.file} has changed since; the take cannot be reproduced"
        )
    return clip
