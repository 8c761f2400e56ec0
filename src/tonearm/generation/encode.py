"""Stage 3 of preparation: a batch of prepared requests as a request to an engine, on the device."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch

from tonearm.audio import Clip
from tonearm.generation.check import check_prompt
from tonearm.generation.prepare import PreparedRequest
from tonearm.generation.provenance import BatchRecord, TextRecord
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import (
    Conditioning,
    EncodedTexts,
    encode_texts,
    with_melody,
)
from tonearm.musicgen.decode_request import ConditioningByStart, DecodeRequest, Section
from tonearm.musicgen.kept_codes import kept_codes
from tonearm.musicgen.text_tokens import count_tokens, padded_tokens
from tonearm.steering.readout import readouts
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
    text_groups: Sequence[int] | None = None,
    frames: int | None = None,
) -> DecodeRequest:
    """Encode texts and melody, and tabulate strengths, levels, guidance and temperature over frames.

    Args:
        checkpoint: of the encoders.
        batch: rows with one batch key.
        vectors: the vectors that they name.
        live: settings will be changed while decoding, and the steers of the first row are read.
        guided: recorded presence of a guidance branch; default: if any guidance is above 1.
        text_groups: recorded groups of rows that share text, of the first texts and of each
            section; default: the largest possible.
        frames: recorded length for which caches are allocated; default: that of the longest row.
    """
    shape, first = checkpoint.shape, batch[0]
    requests = [one.request for one in batch]
    has_negatives = any(one.negative for one in requests)
    if guided is None:
        guided = any(one.sampling.strongest_guidance > 1 for one in batch)
    encode = partial(
        encode_texts,
        checkpoint,
        guided=guided,
        negatives=[one.negative for one in requests] if has_negatives else None,
    )
    groups: Sequence[int | None] = text_groups or [None] * (1 + len(first.sections))
    melody = first.melody.clip if first.melody else None
    texts = encode(
        [one.prompt for one in requests],
        text_tokens=first.text_tokens or None,
        text_group=groups[0],
    )
    by_start = conditioning_by_start(checkpoint, texts, melody)
    sections = []
    for index, (section, group) in enumerate(zip(first.sections, groups[1:], strict=True)):
        texts = encode(
            [one.sections[index].prompt for one in batch],
            text_tokens=section.text_tokens or None,
            text_group=group,
        )
        conditioning = conditioning_by_start(checkpoint, texts, melody)
        sections.append(Section(section.frame, texts, conditioning))

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
    return DecodeRequest(
        by_start(0),
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
        later=by_start,
        sections=sections,
        readouts=readouts(first.steering, vectors) if live else (),
        kept_codes=kept_codes([one.rewinds for one in batch], shape.codebooks, shape.channels),
    )


def place_in_batch(
    request: DecodeRequest,
    batch: Sequence[PreparedRequest],
    row: int,
    codec_rows: int = 1,
    codec_row: int = 0,
    *,
    texts: Sequence[TextRecord] | None = None,
    frames: int | None = None,
) -> BatchRecord:
    """Record of a row's place in its batch.

    Args:
        request: the batch.
        batch: its rows.
        row: the take's.
        codec_rows: rows whose audio was decoded together.
        codec_row: the take's place among them.
        texts: of the take's sections, the first one included; default: those of the request.
        frames: for which caches were allocated, of a stream without a given length.
    """
    conditioning, texts = request.conditioning, texts or text_records(request)
    return BatchRecord(
        size=conditioning.rows,
        row=row,
        frames=request.frames or frames,
        guided=conditioning.guided,
        negative_rows=tuple(i for i, one in enumerate(batch) if one.request.negative),
        text_tokens=texts[0].text_tokens,
        text_group=texts[0].text_group,
        sections=tuple(texts[1:]),
        codec_rows=codec_rows,
        codec_row=codec_row,
    )


def text_records(request: DecodeRequest) -> list[TextRecord]:
    """Records of the texts of a batch: the first, then those of its sections."""
    first = request.conditioning
    records = [TextRecord(text_tokens=first.text_ids.shape[1], text_group=first.text_group)]
    return records + [text_record(one.texts) for one in request.sections]


def text_record(texts: EncodedTexts) -> TextRecord:
    return TextRecord(text_tokens=texts.ids.shape[1], text_group=texts.text_group)


def encode_prompt(
    checkpoint: Checkpoint, request: DecodeRequest, row: PreparedRequest, prompt: str
) -> tuple[EncodedTexts, ConditioningByStart]:
    """Encode another prompt for all rows of a stream, with its negative prompt and its melody.

    Args:
        checkpoint: of the encoders.
        request: of the stream.
        row: one of its rows, which have one negative prompt and one melody.
        prompt: the other one.

    Raises:
        TonearmError: a prompt that is empty or too long, or of which no word is known.
    """
    check_prompt(prompt)
    conditioning, negative = request.conditioning, row.request.negative
    longest = max(count_tokens(checkpoint, [prompt, negative or ""]))
    texts = encode_texts(
        checkpoint,
        [prompt] * conditioning.rows,
        guided=conditioning.guided,
        negatives=[negative] * conditioning.rows if negative else None,
        text_tokens=padded_tokens(checkpoint, prompt, longest) or None,
    )
    melody = row.melody.clip if row.melody else None
    return texts, conditioning_by_start(checkpoint, texts, melody)


def conditioning_by_start(
    checkpoint: Checkpoint, texts: EncodedTexts, melody: Clip | None
) -> ConditioningByStart:
    """Conditioning of windows under encoded texts; a melody starts where the window does."""

    def at(start: int) -> Conditioning:
        part = melody.rolled(start / checkpoint.shape.frame_rate) if melody and start else melody
        return with_melody(checkpoint, texts, part)

    return at


def _scheduled_frames(batch: Sequence[PreparedRequest], rate: int) -> int:
    """Frames until the last breakpoint of any schedule, after which all values hold."""
    steers = [steer for one in batch for steer in one.steering.steers]
    schedules = [steer.schedule for steer in steers]
    schedules += [steer.level_schedule for steer in steers]
    schedules += [one.sampling.guidance_schedule for one in batch]
    schedules += [one.sampling.temperature_schedule for one in batch]
    last = max((one.points[-1][0] for one in schedules if one), default=0.0)
    return int(last * rate) + 2
