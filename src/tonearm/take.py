"""Take: one generated clip, its codes, and its provenance."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.audio import Clip
from tonearm.files import write_aside
from tonearm.provenance import AudioRecord, Provenance
from tonearm.steering.files import SUFFIX, save_vector
from tonearm.steering.vector import SteeringVector


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
        self.clip.write(path)
        vectors = {}
        for name, record in self.provenance.vectors.items():
            if not record.bundled:
                file = path.with_name(f"{path.stem}.{Path(name).stem}-{record.content_hash[:8]}{SUFFIX}")
                save_vector(self.vectors[name], file)
                record = record.model_copy(update={"file": file.name})
            vectors[name] = record
        update: dict[str, Any] = {"vectors": vectors, "audio_file": path.name}
        for key, clip in self.inputs.items():
            record_of: AudioRecord | None = getattr(self.provenance, key)
            if record_of is not None and record_of.file is None:
                file = path.with_name(f"{path.stem}.{key}.wav")
                clip.write(file)
                update[key] = record_of.model_copy(update={"file": file.name})
        content = self.provenance.model_copy(update=update).model_dump(mode="json")
        if measured is not None:
            content["measured"] = dict(measured)
        sidecar = path.with_suffix(".json")
        with write_aside(sidecar) as aside:
            aside.write_text(
                json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
            )
        return sidecar


def hash_codes(codes: np.ndarray) -> str:
    return hashlib.sha256(str(codes.shape).encode() + codes.astype("<i8").tobytes()).hexdigest()
