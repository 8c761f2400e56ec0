"""Clips of codes on disk: generated takes or encoded audio, all of one length.

    index.json               checkpoint, source and number of items; written first
    codes-00000.safetensors  int16 tensor `codes` [n, K, T] of the clips that a run of items gave,
                             and in its header their records: name, track, text

An item is a take to be generated or a recording to be encoded. A shard is written whole or not at
all, so a stopped collection resumes behind the last one. Codes are read whole: ten thousand takes
of 10 s of pocket have 30 MB.

Shapes: n clips; K codebooks; T frames.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch
from pydantic import ConfigDict, Field

from tonearm import __version__
from tonearm.activations.folder_index import INDEX, begin_folder
from tonearm.activations.store import Count, LeftOutRecord
from tonearm.datasets.skips import SkipLog, Skipped, describe_skips
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import parse_json, read_json
from tonearm.loading import loading_errors
from tonearm.progress import Progress
from tonearm.schema import Declared, validated

AGAIN = "delete it and run the same command again, which keeps the other files"


class ClipsInfo(Declared):
    """Index of a folder of clips.

    checkpoint, fingerprint, precision  of the model
    codebooks, frames                   K, T
    source       of the clips: takes of prompts, or audio
    items        takes or recordings in all
    source_hash  identifies the prompts and seeds, or the recordings, in order
    shard_items  items of a full shard
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    checkpoint: str
    fingerprint: str
    precision: str
    codebooks: int = Field(ge=1)
    frames: int = Field(ge=1)
    source: Literal["prompts", "audio"]
    items: Count
    source_hash: str
    shard_items: int = Field(ge=1)
    library_version: str = __version__


class ClipRecord(Declared):
    """A clip: its name, its track, and the text that it was generated from or is read with.

    Clips of one track (takes of one prompt, segments of one recording) are never divided between
    training and validation. `text` None is the null text of guidance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    track: str
    text: str | None = None


class _ShardInfo(Declared):
    """Header of a shard; `sha256` is that of its codes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clips: tuple[ClipRecord, ...]
    left_out: tuple[LeftOutRecord, ...] = ()
    sha256: str


@dataclass(frozen=True)
class Clips:
    """Clips in order.

    records   of the clips
    codes     int16 [n, K, T]
    left_out  items or parts of items that gave no clip
    """

    records: tuple[ClipRecord, ...]
    codes: torch.Tensor
    left_out: tuple[LeftOutRecord, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    @property
    def frames(self) -> int:
        """Frames T of every clip."""
        return self.codes.shape[-1]

    @property
    def tracks(self) -> tuple[str, ...]:
        """Distinct tracks, by first occurrence."""
        return tuple(dict.fromkeys(one.track for one in self.records))

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Items and parts of items that were left out, by reason."""
        log = SkipLog()
        for one in self.left_out:
            log.add(one.reason, one.name, one.detail)
        return log.skipped

    def chosen(self, indices: Sequence[int]) -> "Clips":
        """Return the clips at some indices."""
        return Clips(tuple(self.records[i] for i in indices), self.codes[list(indices)])


Make = Callable[[range], Clips]  # items -> their clips


def collect_clips(
    folder: Path, info: ClipsInfo, make: Make, progress: Progress | None = None
) -> Clips:
    """Make the clips of all items; shards that are in the folder already are kept.

    Args:
        folder: of the clips.
        info: index; that of an earlier run has to be equal.
        make: makes the clips of some items.
        progress: called with items done and items in all.

    Returns:
        All clips.

    Raises:
        TonearmError: the folder holds other clips or other files, a shard is damaged, or no item
            gave a clip.
    """
    begin_folder(
        folder,
        info,
        _read_index,
        content="clips",
        other="other clips",
        hashed={"source_hash": "other data"},
    )
    shards = list[Clips]()
    for number, first in enumerate(range(0, info.items, info.shard_items)):
        items = range(first, min(first + info.shard_items, info.items))
        path = _shard_file(folder, number)
        if not path.is_file():
            _write(path, make(items))
        shards.append(_read(path, info))
        if progress:
            progress(items.stop, info.items)
    found = Clips(
        tuple(record for shard in shards for record in shard.records),
        torch.cat([shard.codes for shard in shards]),
        tuple(record for shard in shards for record in shard.left_out),
    )
    if not found.records:
        reason = describe_skips(found.skipped) or "none was given"
        raise TonearmError(f"no audio can be used: {reason}; give audio with sound")
    return found


def _read_index(folder: Path) -> ClipsInfo:
    content = read_json(folder / INDEX, "index of clips", AGAIN)
    found: ClipsInfo = validated(ClipsInfo, content, where=str(folder / INDEX))
    return found


def _shard_file(folder: Path, number: int) -> Path:
    return folder / f"codes-{number:05}.safetensors"


def _write(path: Path, clips: Clips) -> None:
    header = _ShardInfo(
        clips=clips.records, left_out=clips.left_out, sha256=_digest(clips.codes)
    ).model_dump_json()
    content = safetensors.torch.save({"codes": clips.codes.contiguous()}, {"clips": header})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def _read(path: Path, info: ClipsInfo) -> Clips:
    with loading_errors(str(path), AGAIN), safetensors.safe_open(path, framework="pt") as file:
        header = (file.metadata() or {}).get("clips", "")
        codes = file.get_tensor("codes")
    found: _ShardInfo = validated(_ShardInfo, parse_json(header, str(path), AGAIN), str(path))
    size = (len(found.clips), info.codebooks, info.frames)
    if codes.shape != size or codes.dtype != torch.int16 or _digest(codes) != found.sha256:
        raise TonearmError(f"{path} is damaged: its codes do not match its header; {AGAIN}")
    return Clips(found.clips, codes, found.left_out)


def _digest(codes: torch.Tensor) -> str:
    content: Any = codes.numpy().astype("<i2", copy=False)
    return hashlib.sha256(content.tobytes()).hexdigest()
