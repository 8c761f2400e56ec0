"""Clips of codes from prompts, which generate takes, and from recordings, which are encoded.

Takes have guidance, temperature and filters of the checkpoint's own sampling, so that their codes
are those that steering meets. The activations of both guidance branches follow from the codes
(tonearm/activations/frames.py).

Shapes: n clips; K codebooks; T frames.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from tonearm.activations.audio import AudioSpec
from tonearm.activations.capture import padded_lengths
from tonearm.activations.clips import ClipRecord, Clips, ClipsInfo, collect_clips
from tonearm.activations.store import LeftOutRecord
from tonearm.audio import Clip
from tonearm.datasets.recordings import LeftOut, Recording, segments_of
from tonearm.errors import TonearmError
from tonearm.hashing import hash_texts
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.codec import decode_codes, encode_audio
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.engine import Engine
from tonearm.progress import Progress
from tonearm.text import is_blank

MAX_TAKES = 200_000  # in one folder
TAKES_PER_SHARD = 64
TAKES_PER_BATCH = 32  # more rows are hardly faster on a CPU
RECORDINGS_PER_SHARD = 16


def clips_of_prompts(
    engine: Engine,
    prompts: Sequence[str],
    folder: Path,
    *,
    takes: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Clips:
    """Generate takes and keep their codes. All takes of a prompt are one track.

    Args:
        engine: to run.
        prompts: in an order that a later call repeats.
        folder: that keeps the clips; a stopped call resumes.
        takes: in all; take i has prompt i modulo their number; default: one per prompt.
        seconds: of each take, one window at most; default: 10, or the window where that is
            shorter.
        seed: take i has seed + i.
        progress: called with takes done and takes in all.

    Raises:
        TonearmError: no prompts, an empty or too long one, or a length or number that is not
            possible.
    """
    checkpoint = engine.checkpoint
    spec = AudioSpec(segment_seconds=seconds, pooling="mean").resolved(checkpoint)
    total = len(prompts) if takes is None else takes
    if not prompts or any(is_blank(prompt) for prompt in prompts):
        raise TonearmError("a prompt is empty, or there is none; describe music in each")
    if not 1 <= total <= MAX_TAKES:
        raise TonearmError(f"{total} takes are not possible; use 1 to {MAX_TAKES}")
    if seed < 0 or seed + total >= 2**63:
        raise TonearmError(f"seed {seed} is not possible; use 0 or more")
    lengths = padded_lengths(checkpoint, prompts)
    frames = spec.frames(checkpoint.shape)
    identity = hash_texts(list(prompts), [str(seed)])
    info = _info(checkpoint, "prompts", total, identity, frames, TAKES_PER_SHARD)

    def make(items: range) -> Clips:
        codes = torch.empty(len(items), info.codebooks, frames, dtype=torch.int16)
        order = sorted(items, key=lambda item: lengths[item % len(prompts)])
        for batch in _batches(order, [lengths[item % len(prompts)] for item in order]):
            texts = [prompts[item % len(prompts)] for item in batch]
            conditioning = condition(checkpoint, texts, guided=is_guided(checkpoint))
            sampling, seeds = [checkpoint.sampling] * len(batch), [seed + item for item in batch]
            decoded = engine.decode(DecodeRequest(conditioning, frames, sampling, seeds, ()))
            codes[[item - items.start for item in batch]] = decoded.to(torch.int16)
        named = {item: prompts[item % len(prompts)] for item in items}
        return Clips(
            tuple(ClipRecord(name=f"take {i}", track=one, text=one) for i, one in named.items()),
            codes,
        )

    return collect_clips(folder, info, make, progress)


def clips_of_recordings(
    engine: Engine,
    recordings: Sequence[Recording],
    folder: Path,
    *,
    seconds: float | None = None,
    progress: Progress | None = None,
) -> Clips:
    """Cut recordings into adjacent segments and encode them, to be read with the null text.

    Args:
        engine: to run.
        recordings: in an order that a later call repeats; their tracks are kept.
        folder: that keeps the clips; a stopped call resumes.
        seconds: of a segment; default: 10, or the window where that is shorter.
        progress: called with recordings done and recordings in all.

    Raises:
        TonearmError: a length that is not possible, or recordings of which none can be used.
    """
    checkpoint = engine.checkpoint
    spec = AudioSpec(segment_seconds=seconds, pooling="mean").resolved(checkpoint)
    form, frames = spec.format(checkpoint.shape), spec.frames(checkpoint.shape)
    identity = json.dumps([(one.name, one.track, one.identity) for one in recordings])
    digest = hashlib.sha256(identity.encode()).hexdigest()
    info = _info(checkpoint, "audio", len(recordings), digest, frames, RECORDINGS_PER_SHARD)

    def make(items: range) -> Clips:
        records, codes, left_out = list[ClipRecord](), list[torch.Tensor](), list[LeftOutRecord]()
        for item in items:
            for found in segments_of(recordings[item], form):
                if isinstance(found, LeftOut):
                    left_out.append(LeftOutRecord(**asdict(found)))
                    continue
                name = f"{found.recording.name}, segment {found.number}"
                records.append(ClipRecord(name=name, track=found.recording.track))
                codes.append(encode_audio(checkpoint, found.clip)[:, :frames].cpu())
        none = torch.empty(0, info.codebooks, frames, dtype=torch.int16)
        stacked = torch.cat([none, *(one[None].to(torch.int16) for one in codes)])
        return Clips(tuple(records), stacked, tuple(left_out))

    return collect_clips(folder, info, make, progress)


def is_guided(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint's own sampling has classifier-free guidance."""
    return checkpoint.sampling.guidance > 1


def clip_audio(checkpoint: Checkpoint, codes: torch.Tensor) -> Clip:
    """Decode the audio of codes [K, T]."""
    return decode_codes(checkpoint, codes.long())


def _batches(order: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """Neighbours of equal length, TAKES_PER_BATCH at most: prefix checkpoints read padding."""
    batches: list[list[int]] = []
    before: int | None = None
    for item, length in zip(order, lengths, strict=True):
        if length != before or len(batches[-1]) == TAKES_PER_BATCH:
            batches.append([])
        batches[-1].append(item)
        before = length
    return batches


def _info(
    checkpoint: Checkpoint, source: Any, items: int, source_hash: str, frames: int, shard: int
) -> ClipsInfo:
    shape = checkpoint.shape
    return ClipsInfo(
        checkpoint=shape.public_name,
        fingerprint=shape.fingerprint,
        precision=checkpoint.precision,
        codebooks=shape.codebooks,
        frames=frames,
        source=source,
        items=items,
        source_hash=source_hash,
        shard_items=shard,
    )
