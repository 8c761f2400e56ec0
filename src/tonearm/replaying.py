"""Make a take again from its sidecar, bit for bit, or say what differs."""

import os
from dataclasses import dataclass
from pathlib import Path

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.provenance import AudioRecord, StackRecord, read_sidecar, sha256_of
from tonearm.generation.request import TakeRequest
from tonearm.generation.take import Take
from tonearm.model import Model, OnProgress, load
from tonearm.musicgen.checkpoint import VARIANTS
from tonearm.musicgen.engine import ENGINES
from tonearm.musicgen.sampling import Sampling
from tonearm.steering.spec import Steering
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import load_vector


@dataclass(frozen=True)
class Replay:
    """`identical` says that the audio is the same bit for bit; `differences` what is not the same about this stack."""

    take: Take
    identical: bool
    differences: tuple[str, ...]


def replay(
    sidecar: str | os.PathLike[str],
    *,
    model: Model | None = None,
    checkpoint: str | None = None,
    on_progress: OnProgress | None = None,
) -> Replay:
    """Generate the take of `sidecar` again. `checkpoint` names where its checkpoint lies now, if not where it was.

    Raises TonearmError where it cannot be made at all: other weights, a vector or an audio input that is gone or has changed.
    """
    sidecar = Path(sidecar)
    then = read_sidecar(sidecar)
    name = checkpoint or then.checkpoint.name
    if (
        model is None
        and checkpoint is None
        and name not in VARIANTS
        and name.count("/") != 1
        and not Path(name).is_dir()
    ):
        raise TonearmError(f"{sidecar}: made with the checkpoint folder {name!r}; say where it lies now (--model)")
    model = model or load(name, device=_kind(then.stack.device), dtype=then.stack.dtype)
    if then.engine in ENGINES:
        model = model.with_engine(then.engine)
    now = model.checkpoint
    if now.fingerprint != then.checkpoint.fingerprint:
        raise TonearmError(
            f"{sidecar}: made with weights {then.checkpoint.fingerprint} of {then.checkpoint.name}, but {now.name} has {now.fingerprint}; "
            "name the checkpoint it was made with (--model)"
        )
    vectors: dict[str, SteeringVector] = {}
    for name, record in then.vectors.items():
        vectors[name] = load_vector(sidecar.parent / record.file) if record.file else model.vectors[name]
        if vectors[name].content_hash() != record.content_hash:
            raise TonearmError(
                f"{sidecar}: vector {name} has changed since ({record.content_hash[:8]} then); it cannot be made again"
            )
    inputs = (_input(then.audio_prompt, sidecar), _input(then.melody, sidecar))
    row = TakeRequest(
        then.prompt, then.seed, then.steering, then.sampling.sampling(), then.negative, then.seconds, *inputs
    )
    # Products may differ in their last bits with the batch's shape, so the take goes back to its place in a batch of that shape.
    batch = then.batch
    padding = TakeRequest(
        "-",
        0,
        Steering(),
        Sampling(guidance=3.0 if batch.guided else 1.0),
        "-" if batch.negatives else None,
        then.seconds,
        *inputs,
    )
    rows = [row if place == batch.row else padding for place in range(batch.size)]
    made = list(
        model.takes(
            rows, vectors=vectors, batch_size=batch.size, on_progress=on_progress, text_tokens=batch.text_tokens
        )
    )  # fmt: skip
    take = made[batch.row]
    differences = then.stack.differences(StackRecord.here(now.device, now.precision))
    if then.engine != model.engine.name:
        differences.append(f"engine: {then.engine} then, {model.engine.name} now")
    return Replay(take, take.provenance.audio_sha256 == then.audio_sha256, tuple(differences))


def _input(record: AudioRecord | None, sidecar: Path) -> Clip | None:
    if record is None:
        return None
    clip = Clip.read(sidecar.parent / (record.file or ""))
    if sha256_of(clip) != record.sha256:
        raise TonearmError(f"{sidecar}: {record.file} has changed since; it cannot be made again")
    return clip


def _kind(device: str) -> str:
    """The device to ask for: a GPU's name in the sidecar means CUDA."""
    return device if device in ("cpu", "mps") else "cuda"
