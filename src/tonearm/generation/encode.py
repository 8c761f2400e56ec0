"""Stage 3 of preparation: a batch of prepared requests as a request to an engine, on the device."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import torch

from tonearm.audio import Clip
from tonearm.generation.prepare import PreparedRequest
from tonearm.generation.provenance import BatchRecord
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import Conditioning, condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.steering.resolve import resolve
from tonearm.steering.vector import SteeringVector

OVERLAP_SHARE = 0.4  # of the window, repeated at the start of the next; audiocraft's 12 s of 30


def overlap_frames(window_frames: int) -> int:
    """Frames of a window that the next one starts with."""
    return round(OVERLAP_SHARE * window_frames)


def encode_batch(
    checkpoint: Checkpoint,
    batch: Sequence[PreparedRequest],
    vectors: Mapping[str, SteeringVector],
    *,
    live: bool = False,
    guided: bool | None = None,
    text_group: int | None = None,
    frames: int | None = None,
) -> DecodeRequest:
    """Encode texts and melody, and tabulate strengths, levels, guidance and temperature over frames.

    Args:
        checkpoint: of the encoders.
        batch: rows with one batch key.
        vectors: the vectors that they name.
        live: settings will be changed while decoding.
        guided: recorded presence of a guidance branch; default: if any guidance is above 1.
        text_group: recorded group of rows that share text; default: the largest possible.
        frames: recorded length for which caches are allocated; default: that of the longest row.
    """
    shape, first = checkpoint.shape, batch[0]
    requests = [one.request for one in batch]
    has_negatives = any(one.negative for one in requests)
    if guided is None:
        guided = any(one.sampling.strongest_guidance > 1 for one in batch)

    def conditioning(melody: Clip | None) -> Conditioning:
        return condition(
            checkpoint,
            [one.prompt for one in requests],
            guided=guided,
            negatives=[one.negative for one in requests] if has_negatives else None,
            melody=melody,
            text_tokens=first.text_tokens or None,
            text_group=text_group,
        )

    lengths = [one.frames for one in batch if one.frames is not None]
    table_frames = max(lengths) if lengths else _scheduled_frames(batch, shape.frame_rate)
    plan = resolve(
        [one.steering for one in batch], vectors, shape, table_frames, checkpoint.device, live=live
    )
    guidance = temperature = None
    if live or any(one.sampling.scheduled for one in batch):
        seconds = [frame / shape.frame_rate for frame in range(table_frames)]
        guidance = torch.stack([one.sampling.guidance_at(seconds) for one in batch])
        temperature = torch.stack([one.sampling.temperature_at(seconds) for one in batch])
    codes = [one.prompt_codes for one in batch if one.prompt_codes is not None]
    melody = first.melody.clip if first.melody else None
    return DecodeRequest(
        conditioning(melody),
        frames or max(lengths, default=None),
        [one.sampling for one in batch],
        [one.seed for one in requests],
        plan,
        torch.stack(codes) if codes else None,
        lengths=lengths or None,
        guidance=guidance,
        temperature=temperature,
        window=shape.window_frames,
        overlap=overlap_frames(shape.window_frames),
        later=None if melody is None else _rolled(conditioning, melody, shape.frame_rate),
    )


def place_in_batch(
    request: DecodeRequest,
    batch: Sequence[PreparedRequest],
    row: int,
    codec_rows: int = 1,
    codec_row: int = 0,
) -> BatchRecord:
    """Record of a row's place in its batch.

    Args:
        request: the batch.
        batch: its rows.
        row: the take's.
        codec_rows: rows whose audio was decoded together.
        codec_row: the take's place among them.
    """
    conditioning, frames = request.conditioning, request.frames
    if frames is None:  # a stream without a given length, which has ended
        frames = request.window_end(batch[row].frames or 0)
    return BatchRecord(
        size=conditioning.rows,
        row=row,
        text_tokens=conditioning.text_ids.shape[1],
        frames=frames,
        guided=conditioning.guided,
        negative_rows=tuple(i for i, one in enumerate(batch) if one.request.negative),
        text_group=conditioning.text_group,
        codec_rows=codec_rows,
        codec_row=codec_row,
    )


def _rolled(
    conditioning: Callable[[Clip | None], Conditioning], melody: Clip, rate: int
) -> Callable[[int], Conditioning]:
    """Conditioning of later windows, whose melody starts where the window does."""

    @lru_cache(maxsize=1)
    def later(start: int) -> Conditioning:
        return conditioning(melody.rolled(start / rate))

    return later


def _scheduled_frames(batch: Sequence[PreparedRequest], rate: int) -> int:
    """Frames until the last breakpoint of any schedule, after which all values hold."""
    steers = [steer for one in batch for steer in one.steering.steers]
    schedules = [steer.schedule for steer in steers]
    schedules += [steer.level_schedule for steer in steers]
    schedules += [one.sampling.guidance_schedule for one in batch]
    schedules += [one.sampling.temperature_schedule for one in batch]
    last = max((one.points[-1][0] for one in schedules if one), default=0.0)
    return int(last * rate) + 2
