"""Take: one generated clip, its codes, and its provenance."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.atomic import atomic_write_all
from tonearm.audio import Clip
from tonearm.generation.provenance import AudioRecord, Provenance, VectorRecord
from tonearm.generation.side_files import input_path, sidecar_path, vector_path
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import vector_bytes


@dataclass(frozen=True)
class Take:
    """One generated clip.

    clip        audio, the audio prompt included
    codes       int64 [K, T]
    provenance  everything needed to reproduce it
    vectors     the vectors that steered it, by name
    inputs      audio prompt and melody, where given
    """

    clip: Clip
    codes: np.ndarray
    provenance: Provenance
    vectors: Mapping[str, SteeringVector] = field(default_factory=dict)
    inputs: Mapping[str, Clip] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Length of the clip, audio prompt included."""
        return self.clip.seconds

    def save(self, path: str | os.PathLike[str], measured: Mapping[str, Any] | None = None) -> Path:
        """Write the audio, and beside it `<stem>.json`, from which the take can be reproduced.

        Vectors that do not ship with Tonearm, and audio inputs that came from no file, are written
        too. All of these files appear together; if one cannot be written, none does.

        Args:
            path: of the audio, ending in .wav, .flac or .ogg.
            measured: measurements to add to the JSON.

        Returns:
            The sidecar's path.

        Raises:
            TonearmError: the files cannot be written.
        """
        path = Path(path)
        audio = self.clip.encoded(path.suffix)
        vectors, vector_files = self._side_vectors(path)
        inputs, input_files = self._side_inputs(path)
        update = {"vectors": vectors, "audio_file": path.name, **inputs}
        content = self.provenance.model_copy(update=update).model_dump(mode="json")
        if measured is not None:
            content["measured"] = dict(measured)
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        sidecar = sidecar_path(path)
        files = {
            path: audio,
            **{file: vector_bytes(vector) for file, vector in vector_files.items()},
            **{file: clip.encoded(file.suffix) for file, clip in input_files.items()},
            sidecar: text.encode(),
        }
        with atomic_write_all(list(files)) as temporaries:
            for temporary, data in zip(temporaries, files.values(), strict=True):
                temporary.write_bytes(data)
        return sidecar

    def _side_vectors(
        self, path: Path
    ) -> tuple[dict[str, VectorRecord], dict[Path, SteeringVector]]:
        """Records of all vectors, and the files of those that do not ship with Tonearm."""
        records, files = {}, {}
        for name, record in self.provenance.vectors.items():
            if not record.bundled:
                file = vector_path(path, name, record.content_hash)
                files[file] = self.vectors[name]
                record = record.model_copy(update={"file": file.name})
            records[name] = record
        return records, files

    def _side_inputs(self, path: Path) -> tuple[dict[str, AudioRecord], dict[Path, Clip]]:
        """Records and files of the audio inputs that came from no file."""
        records, files = {}, {}
        for key, clip in self.inputs.items():
            audio: AudioRecord | None = getattr(self.provenance, key)
            if audio is not None and audio.file is None:
                file = input_path(path, key)
                files[file] = clip
                records[key] = audio.model_copy(update={"file": file.name})
        return records, files
