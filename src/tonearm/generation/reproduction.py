"""Requests that fill the batch of a recorded take, so that the take is decoded as it was.

The last bits of matrix products can depend on the number of rows, on their padding, and on the rows that
share text keys and values. The other rows of the batch are filled accordingly.
"""

from collections.abc import Sequence
from dataclasses import replace

from tonearm.backend import ModelShape
from tonearm.generation.batching import Limits, batch_shape
from tonearm.generation.prepare import PreparedRequest
from tonearm.generation.provenance import BatchRecord
from tonearm.generation.request import PromptSection, TakeRequest
from tonearm.musicgen.memory_estimate import BatchShape
from tonearm.musicgen.sampling import Sampling


def batch_of(request: TakeRequest, place: BatchRecord) -> list[TakeRequest]:
    """Requests of a batch of the recorded shape, with `request` at its recorded row.

    Args:
        request: the take.
        place: recorded with it.
    """
    prompts = _prompts(request.prompt, request.negative, place, place.text_group)
    sections = [
        _prompts(section.prompt, request.negative, place, texts.text_group)
        for section, texts in zip(request.sections, place.sections, strict=True)
    ]
    negative = request.negative if place.row in place.negative_rows else None
    filled = [
        TakeRequest(
            prompt=prompts[row],
            seed=0,
            sampling=Sampling(guidance=3.0 if place.guided else 1.0),
            negative=(negative or request.prompt) if row in place.negative_rows else None,
            seconds=request.seconds,
            continue_from=request.continue_from,
            melody=request.melody,
            sections=tuple(
                PromptSection(section.seconds, texts[row])
                for section, texts in zip(request.sections, sections, strict=True)
            ),
        )
        for row in range(place.size)
    ]
    filled[place.row] = request
    return filled


def with_recorded_texts(prepared: PreparedRequest, place: BatchRecord) -> PreparedRequest:
    """A request of the batch with its texts padded to the recorded lengths."""
    sections = tuple(
        replace(one, text_tokens=texts.text_tokens)
        for one, texts in zip(prepared.sections, place.sections, strict=True)
    )
    return replace(prepared, text_tokens=place.text_tokens, sections=sections)


def _prompts(prompt: str, negative: str | None, place: BatchRecord, group: int) -> list[str]:
    """Prompts of all rows in one section of the batch.

    The rows with text are all prompts, then the negative prompts. Every `group` neighbours of them
    share the text of the first: prompts in the group of the take's negative prompt are that one.
    """
    prompts = [prompt] * place.size
    if negative and place.row in place.negative_rows:
        position = place.size + place.negative_rows.index(place.row)
        first = position - position % group
        prompts[first:] = [negative] * len(prompts[first:])
    return prompts


def reproduced_shape(
    rows: Sequence[PreparedRequest], place: BatchRecord, limits: Limits
) -> BatchShape:
    """Quantities that the memory of reproducing a take depends on, once its rows are prepared.

    Args:
        rows: of the batch, with their texts as recorded.
        place: recorded with the take.
        limits: of a batch.
    """
    shape = batch_shape(rows, limits)
    return replace(
        shape,
        guided=place.guided,
        frames=max(shape.frames, place.frames or 0),
        text_tokens=max([shape.text_tokens, *(one.text_tokens for one in place.sections)]),
        negatives=len(place.negative_rows),
        codec_rows=place.codec_rows,
    )


def recorded_shape(request: TakeRequest, place: BatchRecord, shape: ModelShape) -> BatchShape:
    """These quantities, as far as they are known before audio prompts and texts are encoded.

    Args:
        request: the take.
        place: recorded with it.
        shape: of the checkpoint.
    """
    return BatchShape(
        rows=place.size,
        guided=place.guided,
        frames=round(request.seconds * shape.frame_rate),
        window=shape.window_frames,
        text_tokens=max([place.text_tokens, *(one.text_tokens for one in place.sections)]),
        negatives=len(place.negative_rows),
        codec_rows=place.codec_rows,
    )
