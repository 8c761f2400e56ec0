"""Requests that fill the batch of a recorded take, so that the take is decoded as it was.

The last bits of matrix products can depend on the number of rows, on their padding, and on the rows that
share text keys and values. The other rows of the batch are filled accordingly.
"""

from tonearm.errors import TonearmError
from tonearm.generation.provenance import BatchRecord
from tonearm.generation.request import TakeRequest
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.memory_estimate import GIB, BatchShape, decoding_bytes, free_bytes
from tonearm.musicgen.sampling import Sampling

TABLE_BYTES = 256  # per frame, while strengths are tabulated
SCORE_BYTES = 12  # of an attention score of the text encoder, in float32: itself and its softmax


def batch_of(request: TakeRequest, place: BatchRecord) -> list[TakeRequest]:
    """Requests of a batch of the recorded shape, with `request` at its recorded row.

    Args:
        request: the take.
        place: recorded with it.
    """
    # Rows with text: all prompts, then the negative prompts.
    texts = [request.prompt] * (place.size + len(place.negative_rows))
    if request.negative and place.row in place.negative_rows:
        position = place.size + place.negative_rows.index(place.row)
        first = position - position % place.text_group
        texts[first : first + place.text_group] = [request.negative] * place.text_group
    negatives = dict(zip(place.negative_rows, texts[place.size :], strict=True))
    filled = [
        TakeRequest(
            prompt=texts[row],
            seed=0,
            sampling=Sampling(guidance=3.0 if place.guided else 1.0),
            negative=negatives.get(row),
            seconds=request.seconds,
            continue_from=request.continue_from,
            melody=request.melody,
        )
        for row in range(place.size)
    ]
    filled[place.row] = request
    return filled


def check_batch_memory(checkpoint: Checkpoint, place: BatchRecord, seconds: float) -> None:
    """Check that a recorded batch fits the free memory, before anything is allocated.

    Args:
        checkpoint: to generate with.
        place: record of the batch.
        seconds: of new music in the take.

    Raises:
        TonearmError: it does not fit.
    """
    shape = checkpoint.shape
    batch = BatchShape(
        rows=place.size,
        guided=place.guided,
        frames=round(seconds * shape.frame_rate),
        window=shape.window_frames,
        text_tokens=place.text_tokens,
    )
    heads = checkpoint.model.text_encoder.config.num_attention_heads
    texts = place.size + len(place.negative_rows)
    needed = decoding_bytes(checkpoint, batch)
    needed += SCORE_BYTES * heads * texts * place.text_tokens**2 + TABLE_BYTES * batch.frames
    free = free_bytes(checkpoint.device)
    if needed > free:
        raise TonearmError(
            f"a batch of {place.size} rows with texts of {place.text_tokens} tokens and {seconds:g} "
            f"s needs {needed / GIB:.1f} GiB beside the weights, {free / GIB:.1f} are free; replay "
            "it where there is more memory"
        )
