"""Capture of the activations of labelled recordings into a store, resumable.

Memory holds one recording, one batch, and the rows of one shard (SHARD_BYTES, four times while it
is written), whatever the number of recordings.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from tonearm.activations.audio import AudioSpec, capture_segments
from tonearm.activations.store import (
    ActivationStore,
    LeftOutRecord,
    Place,
    SegmentRecord,
    ShardInfo,
    StoreInfo,
    begin_store,
    read_shard_info,
    write_shard,
)
from tonearm.audio import Clip
from tonearm.backend import Site
from tonearm.datasets.recordings import LeftOut, Recording, Segment, SegmentFormat, segments_of
from tonearm.datasets.skips import describe_skips
from tonearm.errors import TonearmError
from tonearm.hashing import hash_clip
from tonearm.musicgen.engine import Engine
from tonearm.progress import Progress

SHARD_BYTES = 32 * 2**20
SHARD_SEGMENTS = 256  # a stopped capture repeats the work of one shard at most

Rows = dict[Site, torch.Tensor]


def capture_recordings(
    engine: Engine,
    recordings: Sequence[Recording],
    spec: AudioSpec,
    folder: Path,
    progress: Progress | None = None,
) -> ActivationStore:
    """Capture recordings into a folder; shards that are there already are kept.

    Args:
        engine: to run.
        recordings: in an order that a later call repeats.
        spec: sites, pooling and segments.
        folder: of the store.
        progress: called with recordings done and recordings in all.

    Returns:
        The complete store.

    Raises:
        TonearmError: a spec that the checkpoint does not allow, a folder with another capture, or
            recordings of which none has a segment that can be used.
    """
    spec, total = spec.resolved(engine.checkpoint), len(recordings)
    info = _info(engine, recordings, spec)
    begin_store(folder, info)
    place, number = (0, 0), 0
    run = _Run(engine, recordings, spec, info.shard_segments, progress)
    while place[0] < total:
        shard = read_shard_info(folder, number)
        if shard is None or shard.first != place:
            shard = _write_next(run, place, folder, number)
        place, number = shard.next, number + 1
        if progress:
            progress(place[0], total)
    store = ActivationStore.read(folder, info.fingerprint)
    if not store.segments:
        reason = describe_skips(store.skipped()) or "none was given"
        raise TonearmError(f"no audio can be used: {reason}; give audio with sound")
    return store


def _info(engine: Engine, recordings: Sequence[Recording], spec: AudioSpec) -> StoreInfo:
    checkpoint, shape = engine.checkpoint, engine.checkpoint.shape
    identity = [  # without a piece as before there were any, so that older stores resume
        (one.name, one.label, one.track, one.identity, *filter(None, [one.piece]))
        for one in recordings
    ]
    seconds = spec.positions(shape).seconds
    segment_bytes = 4 * shape.layer_count * shape.width * len(spec.sites) * len(seconds)
    return StoreInfo(
        checkpoint=shape.public_name,
        fingerprint=shape.fingerprint,
        precision=checkpoint.precision,
        layer_count=shape.layer_count,
        width=shape.width,
        sites=spec.sites,
        pooling=spec.pooling,
        segment_seconds=spec.format(shape).seconds,
        text=spec.text,
        seconds=seconds,
        recordings=len(recordings),
        recordings_hash=hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
        shard_segments=max(1, min(SHARD_SEGMENTS, SHARD_BYTES // segment_bytes)),
    )


@dataclass(frozen=True)
class _Run:
    """One call of `capture_recordings`; `size` counts the segments of a full shard."""

    engine: Engine
    recordings: Sequence[Recording]
    spec: AudioSpec
    size: int
    progress: Progress | None


def _write_next(run: _Run, first: Place, folder: Path, number: int) -> ShardInfo:
    """Capture and write the shard that begins at a place; its rows are freed on return."""
    shard, rows = _capture_shard(run, first)
    write_shard(folder, number, shard, rows)
    return shard


def _capture_shard(run: _Run, first: Place) -> tuple[ShardInfo, Rows]:
    """Capture the segments of a shard: its header, and rows [m, L, D] by site."""
    shape, total = run.engine.checkpoint.shape, len(run.recordings)
    records, left_out, batch = list[SegmentRecord](), list[LeftOutRecord](), list[Clip]()
    captured, after = list[Rows](), (total, 0)
    for index, found in _sections(run.recordings, run.spec.format(shape), first):
        if isinstance(found, LeftOut):
            left_out.append(LeftOutRecord(**asdict(found)))
            continue
        batch.append(found.clip)
        records.append(_record(found))
        is_full = len(records) == run.size
        if is_full or len(batch) == run.spec.batch_size:
            captured.append(capture_segments(run.engine, batch, run.spec))
            batch = []
            if run.progress:
                run.progress(index, total)
        if is_full:
            after = (index, found.number + 1)
            break
    if batch:
        captured.append(capture_segments(run.engine, batch, run.spec))
    none = torch.empty(0, shape.layer_count, shape.width)
    rows = {
        site: torch.cat([none, *(one[site].flatten(0, 1) for one in captured)])
        for site in run.spec.sites
    }
    shard = ShardInfo(first=first, next=after, segments=tuple(records), left_out=tuple(left_out))
    return shard, rows


def _sections(
    recordings: Sequence[Recording], form: SegmentFormat, first: Place
) -> Iterator[tuple[int, Segment | LeftOut]]:
    """Segments from a place on, and those left out, with the index of their recording."""
    for index in range(first[0], len(recordings)):
        start = first[1] if index == first[0] else 0
        for found in segments_of(recordings[index], form, start):
            yield index, found


def _record(segment: Segment) -> SegmentRecord:
    recording = segment.recording
    return SegmentRecord(
        name=recording.name,
        label=recording.label,
        track=recording.track,
        number=segment.number,
        sha256=hash_clip(segment.clip),
        piece=recording.piece,
    )
