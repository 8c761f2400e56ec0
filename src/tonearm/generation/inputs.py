"""Stage 1 of preparation: reading of audio inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tonearm.audio import Clip
from tonearm.generation.provenance import AudioRecord
from tonearm.generation.request import AudioLike, TakeRequest, audio_source
from tonearm.hashing import hash_clip


@dataclass(frozen=True)
class AudioInput:
    """An audio prompt or melody, with its absolute path if it came from a file."""

    clip: Clip
    file: Path | None

    @cached_property
    def sha256(self) -> str:
        return hash_clip(self.clip)

    def record(self) -> AudioRecord:
        return AudioRecord(sha256=self.sha256, seconds=self.clip.seconds)


@dataclass(frozen=True)
class RequestInputs:
    """A request with its audio inputs read."""

    request: TakeRequest
    audio_prompt: AudioInput | None
    melody: AudioInput | None


def read_inputs(requests: Sequence[TakeRequest]) -> list[RequestInputs]:
    """Read the audio inputs of requests, each clip or file once.

    Raises:
        TonearmError: a file that cannot be read as audio.
    """
    known: dict[object, AudioInput] = {}

    def read(audio: AudioLike | None) -> AudioInput | None:
        if audio is None:
            return None
        source = audio_source(audio, "audio")
        key = id(source) if isinstance(source, Clip) else source
        if key not in known:
            known[key] = _read(source)
        return known[key]

    return [RequestInputs(one, read(one.continue_from), read(one.melody)) for one in requests]


def _read(audio: Clip | str) -> AudioInput:
    if isinstance(audio, Clip):
        return AudioInput(audio, None)
    return AudioInput(Clip.read(audio), Path(audio).absolute())
