"""Rows on disk: a folder of shards with an index, written and read in bounded memory.

    index.json              checkpoint, spec and recordings of the capture; written first
    shard-00000.safetensors float32 tensors `residual.0` [m, D], one per site and layer, and in its
                            header the segments: label, track, name, start, audio hash

A shard is written whole or not at all and records where in the list of recordings it begins and
where the next one begins. A shard that is there is complete, so a stopped capture resumes behind
the last one, and a deleted or damaged shard is captured again without the others. The store is
complete when its shards lead from the first recording to beyond the last.

Rows are in the order of segments; a segment's n rows (one per position of the pooling) follow each
other.

Shapes: m rows of a shard; n rows of a segment; L layers; D width.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import safetensors
import safetensors.torch
import torch
from pydantic import ConfigDict, Field

from tonearm import __version__, boundary
from tonearm.activations.folder_index import INDEX, begin_folder
from tonearm.activations.moments import RunningMoments
from tonearm.backend import Site
from tonearm.datasets.skips import SkipLog, Skipped
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import parse_json, read_json
from tonearm.schema import Declared, validated
from tonearm.text import first_line

Count = Annotated[int, Field(ge=0, lt=2**31)]
Place = tuple[Count, Count]  # recording, segment in it


class StoreInfo(Declared):
    """Index of a store.

    checkpoint, fingerprint, precision  of the model
    layer_count, width                  L, D
    sites, pooling, segment_seconds, text  of the AudioSpec
    seconds         of a segment's rows within it; None for a mean over the segment
    recordings      their number
    recordings_hash identifies their names, labels, tracks, pieces and files, in order
    shard_segments  segments of a full shard
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    checkpoint: str
    fingerprint: str
    precision: str
    layer_count: int = Field(ge=1)
    width: int = Field(ge=1)
    sites: tuple[Site, ...] = Field(min_length=1)
    pooling: str
    segment_seconds: float = Field(gt=0)
    text: str | None
    seconds: tuple[float | None, ...] = Field(min_length=1)
    recordings: Count
    recordings_hash: str
    shard_segments: int = Field(ge=1)
    library_version: str = __version__


class SegmentRecord(Declared):
    """A captured segment: `number` of its recording, from 0, and sha256 of its samples.

    `piece` is that of the recording, or empty.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    label: str
    track: str
    number: Count
    sha256: str
    piece: str = ""

    @property
    def split_unit(self) -> str:
        """Segments of one unit, a piece or a track, stay in one part of every split."""
        return self.piece or self.track


class LeftOutRecord(Declared):
    """A recording or segment that was left out (tonearm/datasets/recordings.py)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    reason: str
    detail: str


class ShardInfo(Declared):
    """Header of a shard: its segments, and the places at which it and the next one begin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: Place
    next: Place
    segments: tuple[SegmentRecord, ...]
    left_out: tuple[LeftOutRecord, ...] = ()


def shard_file(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05}.safetensors"


def begin_store(folder: Path, info: StoreInfo) -> None:
    """Write the index of a new store, or check that of the store in the folder.

    Raises:
        TonearmError: the folder holds a store of another capture, or other files.
    """
    begin_folder(
        folder,
        info,
        read_index,
        content="activations",
        other="activations of another capture",
        hashed={"recordings": "other or changed recordings"},
    )


def read_index(folder: Path) -> StoreInfo:
    """Read the index of a store. Raises TonearmError where there is none, or a damaged one."""
    content = read_json(folder / INDEX, "store of activations", "capture the activations again")
    info: StoreInfo = validated(StoreInfo, content, where=str(folder / INDEX))
    return info


def write_shard(
    folder: Path, number: int, shard: ShardInfo, rows: Mapping[Site, torch.Tensor]
) -> None:
    """Write a shard, whole or not at all.

    Args:
        folder: of the store.
        number: of the shard.
        shard: its header.
        rows: [m, L, D] by site, m rows of its segments.
    """
    tensors = {
        _key(site, layer): of_site[:, layer].contiguous()
        for site, of_site in rows.items()
        for layer in range(of_site.shape[1])
    }
    metadata = {
        "shard": shard.model_dump_json(),
        "sha256": json.dumps({key: _digest(tensor) for key, tensor in tensors.items()}),
    }
    content = safetensors.torch.save(tensors, metadata)
    with atomic_write(shard_file(folder, number)) as temporary:
        temporary.write_bytes(content)


def read_shard_info(folder: Path, number: int) -> ShardInfo | None:
    """Header of a shard; None where it is absent or is no whole file."""
    try:
        with _opened(shard_file(folder, number)) as file:
            return _shard_info(file, shard_file(folder, number))
    except TonearmError:
        return None


@dataclass(frozen=True)
class ActivationStore:
    """A complete store, whose rows are read when they are needed."""

    folder: Path
    info: StoreInfo
    shards: tuple[ShardInfo, ...]

    @classmethod
    def read(
        cls, folder: str | os.PathLike[str], fingerprint: str | None = None
    ) -> "ActivationStore":
        """Read the index and the headers of a store.

        Args:
            folder: of the store.
            fingerprint: of the checkpoint whose activations are expected; default: any.

        Raises:
            TonearmError: no store, one that is incomplete or damaged, or of another checkpoint.
        """
        folder = Path(boundary.path(folder, "folder"))
        info = read_index(folder)
        if fingerprint is not None and info.fingerprint != fingerprint:
            raise TonearmError(
                f"{folder} holds activations of {info.checkpoint} ({info.fingerprint}), not of the "
                f"loaded checkpoint ({fingerprint}); load that one, or capture again"
            )
        shards, place = list[ShardInfo](), (0, 0)
        while place[0] < info.recordings:
            path = shard_file(folder, len(shards))
            if not path.is_file():
                raise TonearmError(
                    f"{folder} is incomplete: {path.name} is missing; run the same capture again, "
                    "which resumes"
                )
            with _opened(path) as file:
                shard = _shard_info(file, path)
            if shard.first != place:
                raise TonearmError(f"{path} does not follow the shard before it; {_AGAIN}")
            shards.append(shard)
            place = shard.next
        return cls(folder, info, tuple(shards))

    @property
    def segments(self) -> list[SegmentRecord]:
        """Segments in order."""
        return [segment for shard in self.shards for segment in shard.segments]

    def skipped(self, known: Collection[str] = ()) -> tuple[Skipped, ...]:
        """Recordings and segments that were left out, by reason.

        Args:
            known: reasons that are documented defects of the corpus.
        """
        log = SkipLog(known)
        for shard in self.shards:
            for one in shard.left_out:
                log.add(one.reason, one.name, one.detail)
        return log.skipped

    @property
    def segment_rows(self) -> int:
        """Rows n of a segment."""
        return len(self.info.seconds)

    def layer(self, site: Site, layer: int) -> torch.Tensor:
        """Rows float32 [all m, D] of one site and layer."""
        return torch.cat(
            [self._tensors(number, [_key(site, layer)])[0] for number in range(len(self.shards))]
        )

    def rows(self, site: Site) -> Iterator[tuple[ShardInfo, torch.Tensor]]:
        """Rows float32 [m, L, D] of one site, shard by shard."""
        keys = [_key(site, layer) for layer in range(self.info.layer_count)]
        for number, shard in enumerate(self.shards):
            yield shard, torch.stack(self._tensors(number, keys), dim=1)

    def moments(self, site: Site) -> dict[str, RunningMoments]:
        """Running moments of the rows [L, D] of each label, in one pass over the shards."""
        found: dict[str, RunningMoments] = {}
        for shard, rows in self.rows(site):
            labels = [one.label for one in shard.segments for _ in self.info.seconds]
            for label in dict.fromkeys(labels):
                chosen = [one == label for one in labels]
                found.setdefault(label, RunningMoments()).add(rows[chosen])
        return found

    def _tensors(self, number: int, keys: list[str]) -> list[torch.Tensor]:
        path, info = shard_file(self.folder, number), self.info
        size = (len(self.shards[number].segments) * self.segment_rows, info.width)
        with _opened(path) as file:
            try:
                stated = json.loads(file.metadata()["sha256"])
                found = [file.get_tensor(key) for key in keys]
                damaged = [
                    k for k, one in zip(keys, found, strict=True) if _digest(one) != stated[k]
                ]
            except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
                raise TonearmError(f"{path} is damaged ({first_line(error)}); {_AGAIN}") from None
        if damaged or any(one.shape != size or one.dtype != torch.float32 for one in found):
            raise TonearmError(f"{path} is damaged: its rows do not match its header; {_AGAIN}")
        return found


@dataclass(frozen=True)
class StoredRows:
    """Rows [n, L, D] of a store, of which `rows[:, layer]` reads one layer.

    store, site  whose rows
    chosen       bool [all rows of the store], n of them True
    """

    store: ActivationStore
    site: Site
    chosen: torch.Tensor

    @property
    def shape(self) -> torch.Size:
        info = self.store.info
        return torch.Size((int(self.chosen.sum()), info.layer_count, info.width))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, place: tuple[slice, int], /) -> torch.Tensor:
        rows, layer = place
        return self.store.layer(self.site, layer)[self.chosen][rows]


_AGAIN = "delete it and run the same capture again, which keeps the other shards"


def _key(site: str, layer: int) -> str:
    return f"{site}.{layer}"


def _digest(rows: torch.Tensor) -> str:
    """sha256 (hexadecimal) of rows."""
    return hashlib.sha256(rows.numpy().astype("<f4", copy=False).tobytes()).hexdigest()


def _opened(path: Path) -> Any:
    try:
        return safetensors.safe_open(path, framework="pt")
    except (OSError, safetensors.SafetensorError) as error:
        raise TonearmError(f"cannot read {path} ({first_line(error)}); {_AGAIN}") from None


def _shard_info(file: Any, path: Path) -> ShardInfo:
    text = (file.metadata() or {}).get("shard", "")
    content = parse_json(text, str(path), _AGAIN)
    shard: ShardInfo = validated(ShardInfo, content, where=str(path))
    return shard
