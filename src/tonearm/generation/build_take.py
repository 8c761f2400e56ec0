"""Takes of decoded rows, with their provenance."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from tonearm.audio import Clip
from tonearm.generation.prepare import PreparedRequest
from tonearm.generation.provenance import (
    BatchRecord,
    CheckpointRecord,
    MonitorRecord,
    Provenance,
    RewindRecord,
    SamplingRecord,
    SectionRecord,
    StackRecord,
    VectorRecord,
)
from tonearm.generation.take import Take
from tonearm.hashing import hash_clip, hash_codes
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.steering.library import VectorLibrary
from tonearm.steering.resolve import with_public_names
from tonearm.steering.spec import Steering
from tonearm.steering.vector import SteeringVector


@dataclass(frozen=True)
class TakeBuilder:
    """Builds the takes of one model.

    checkpoint  that decodes
    engine      name of the engine that decodes
    library     which vectors of a take are bundled, and their public names
    """

    checkpoint: Checkpoint
    engine: str
    library: VectorLibrary

    def build(
        self,
        prepared: PreparedRequest,
        vectors: Mapping[str, SteeringVector],
        place: BatchRecord,
        codes: torch.Tensor,
        clip: Clip,
        acted: Mapping[int, torch.Tensor],
    ) -> Take:
        """Build the take of a row.

        Args:
            prepared: the row.
            vectors: those that it names, and possibly others.
            place: of the row in its batch.
            codes: int64 [K, T].
            clip: audio of the codes.
            acted: strengths of monitored steers as they acted, float32 [T], by position.
        """
        shape, request = self.checkpoint.shape, prepared.request
        steering, used = with_public_names(prepared.steering, vectors, self.library.public_name)
        requested, has_rule = None, request.steering.combine != "none"
        if has_rule or any(steer.is_calibrated for steer in request.steering.steers):
            requested, _ = with_public_names(request.steering, vectors, self.library.public_name)
        frames = codes.shape[1]
        provenance = Provenance(
            prompt=request.prompt,
            sections=tuple(
                SectionRecord(frame=one.frame, prompt=one.prompt) for one in prepared.sections
            ),
            negative=request.negative,
            seed=request.seed,
            steering=steering,
            requested=requested,
            batch=place,
            engine=self.engine,
            new_seconds=round((frames - prepared.prompt_frames) / shape.frame_rate, 6),
            frames=frames,
            sampling=SamplingRecord.of(prepared.sampling),
            vectors={
                name: self._vector_record(name, used[name], steering) for name in sorted(used)
            },
            checkpoint=CheckpointRecord(
                name=shape.public_name, fingerprint=shape.fingerprint, licence=shape.licence
            ),
            audio_prompt=prepared.audio_prompt.record() if prepared.audio_prompt else None,
            melody=prepared.melody.record() if prepared.melody else None,
            stack=StackRecord.here(self.checkpoint.device, self.checkpoint.precision),
            rewinds=tuple(map(RewindRecord.of, prepared.rewinds)),
            monitored=tuple(
                MonitorRecord.of(position, strengths[prepared.prompt_frames :])
                for position, strengths in sorted(acted.items())
            ),
            codes_sha256=hash_codes(codes.numpy()),
            audio_sha256=hash_clip(clip),
        )
        return Take(
            clip,
            codes.numpy(),
            provenance,
            used,
            prepared.inputs,
            prepared.input_files,
            {position: strengths.numpy() for position, strengths in acted.items()},
        )

    def _vector_record(self, name: str, vector: SteeringVector, steering: Steering) -> VectorRecord:
        is_bundled = self.library.is_bundled(name) and vector is self.library[name]
        is_set = any(one.vector == name and one.operator == "set" for one in steering.steers)
        scales = vector.info.frame_scales if is_set else None
        return VectorRecord(
            content_hash=vector.content_hash(),
            frame_scales_hash=scales.content_hash() if scales else None,
            bundled=is_bundled,
        )
