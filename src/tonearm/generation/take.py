"""Take: one generated clip, its codes, and its provenance."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.atomic import atomic_write
from tonearm.audio import Clip
from tonearm.generation.provenance import AudioRecord, Provenance, VectorRecord
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import SUFFIX, save_vector


@dataclass(frozen=True)
class Take:
    """`codes` int64 [K, T]; `vectors` are those that steered it, by name; `inputs` the audio prompt and melody, where given."""

    clip: Clip
    codes: np.ndarray
    provenance: Provenance
    vectors: Mapping[str, SteeringVector] = field(default_factory=dict)
    inputs: Mapping[str, Clip] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.clip.seconds

    def save(self, path: str | os.PathLike[str], measured: Mapping[str, Any] | None = None) -> Path:
        """Write the audio, and beside it `<stem>.json`: enough to make it again.

        Vectors that do not ship with Tonearm, and audio inputs that came from no file, are written beside it too. `measured` goes into
        the JSON as it is. Returns the sidecar's path.
        """
        path = Path(path)
        vectors, inputs = self._beside(path)
        update = {"vectors": vectors, "audio_file": path.name, **inputs}
        content = self.provenance.model_copy(update=update).model_dump(mode="json")
        if measured is not None:
            content["measured"] = dict(measured)
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        sidecar = path.with_suffix(".json")
        sidecar.unlink(missing_ok=True)  # an old sidecar must not stand beside new audio, should what follows fail
        self.clip.write(path)
        with atomic_write(sidecar) as aside:
            aside.write_text(text, encoding="utf-8")
        return sidecar

    def _beside(self, path: Path) -> tuple[dict[str, VectorRecord], dict[str, AudioRecord]]:
        """Write the vectors and audio inputs that stand nowhere else; returns their records by name."""
        vectors = {}
        for name, record in self.provenance.vectors.items():
            if not record.bundled:
                file = path.with_name(f"{path.stem}.{Path(name).stem}-{record.content_hash[:8]}{SUFFIX}")
                save_vector(self.vectors[name], file)
                record = record.model_copy(update={"file": file.name})
            vectors[name] = record
        inputs = {}
        for key, clip in self.inputs.items():
            audio: AudioRecord | None = getattr(self.provenance, key)
            if audio is not None and audio.file is None:
                file = path.with_name(f"{path.stem}.{key}.wav")
                clip.write(file)
                inputs[key] = audio.model_copy(update={"file": file.name})
        return vectors, inputs


def hash_codes(codes: np.ndarray) -> str:
    return hashlib.sha256(str(codes.shape).encode() + codes.astype("<i8").tobytes()).hexdigest()
