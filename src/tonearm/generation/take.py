"""Take: one generated clip, its codes, and its provenance."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write_all
from tonearm.generation.provenance import AudioRecord, Provenance, VectorRecord
from tonearm.generation.side_files import input_path, sidecar_path, stored_path, vector_path
from tonearm.hashing import hash_clip
from tonearm.processing import Trims
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import vector_bytes
from tonearm.text import first_line

# a list of numbers in indented JSON; texts hold no line breaks there
_NUMBER_LIST = re.compile(r"\[\n\s*([-+.\deE,\s]+?)\n\s*\]")


AUDIO_PROMPT = "audio_prompt"  # among the inputs


@dataclass(frozen=True)
class Take:
    """One generated clip.

    clip        audio, the audio prompt included
    codes       int64 [K, T]
    provenance  everything needed to reproduce it
    vectors     the vectors that steered it, by name
    inputs      audio prompt and melody, where given
    files       absolute paths of the inputs that came from files
    acted       strengths of the monitored steers as they acted, float32 [T], by the index of the
                steer in provenance.steering
    """

    clip: Clip
    codes: np.ndarray
    provenance: Provenance
    vectors: Mapping[str, SteeringVector] = field(default_factory=dict)
    inputs: Mapping[str, Clip] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    acted: Mapping[int, np.ndarray] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Length of the clip, audio prompt included."""
        return self.clip.seconds

    def trimmed(self, trims: Trims) -> "Take":
        """The take with its audio trimmed, which its sidecar records.

        Args:
            trims: a time stretch, a shelving filter, a gain.

        Raises:
            TonearmError: a take that is trimmed already.
        """
        boundary.instance(trims, "trims", Trims, "Trims")
        if self.provenance.trims is not None:
            raise TonearmError("the take is trimmed already; trim the original")
        clip = trims.apply(self.clip)
        update = {"trims": trims, "audio_sha256": hash_clip(clip)}
        return replace(self, clip=clip, provenance=self.provenance.model_copy(update=update))

    def save(self, path: str | os.PathLike[str], measured: Mapping[str, Any] | None = None) -> Path:
        """Write the audio, and beside it `<stem>.json`, from which the take can be reproduced.

        Vectors that do not ship with Tonearm, and audio inputs that came from no file, are written
        too. All of these files appear together; if one cannot be written, none does. The JSON holds
        no absolute path.

        Args:
            path: of the audio, ending in .wav, .flac or .ogg.
            measured: measurements to add to the JSON, as plain data.

        Returns:
            The sidecar's path.

        Raises:
            TonearmError: the files cannot be written, or an argument is of a wrong type.
        """
        if measured is not None and not isinstance(measured, Mapping):
            raise boundary.refusal(measured, "measured", "a dictionary of measurements")
        path = Path(boundary.path(path, "path"))
        audio = self.clip.encoded(path.suffix)
        vectors, vector_files = self._side_vectors(path)
        inputs, input_files = self._side_inputs(path)
        update = {"vectors": vectors, "audio_file": path.name, **inputs}
        content = self.provenance.model_copy(update=update).model_dump(mode="json")
        if measured is not None:
            content["measured"] = dict(measured)
        text = _json(content)
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
        """Records of the audio inputs, and the files of those that came from no file."""
        records, files = {}, {}
        for key, clip in self.inputs.items():
            audio: AudioRecord = getattr(self.provenance, key)
            if key in self.files:
                name = stored_path(self.files[key], path.parent)
            else:
                file = input_path(path, key)
                files[file], name = clip, file.name
            records[key] = audio.model_copy(update={"file": name})
        return records, files


def _json(content: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        text = _NUMBER_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:  # of `measured` alone
        raise TonearmError(
            f"measured cannot be written as JSON ({first_line(error)}); give texts and finite numbers"
        ) from None
    return text + "\n"


def new_music(take: Take) -> Clip:
    """The clip of a take that is not trimmed, without its audio prompt."""
    if AUDIO_PROMPT not in take.inputs:
        return take.clip
    clip, rate = take.clip, take.clip.sample_rate
    first = clip.samples.shape[1] - round(take.provenance.new_seconds * rate)
    return Clip(clip.samples[:, max(0, first) :], rate)
