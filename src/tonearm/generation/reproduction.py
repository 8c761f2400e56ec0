"""Requests that fill the batch of a recorded take, so that the take is decoded as it was.

The last bits of matrix products can depend on the number of rows, on their padding, and on the rows that
share text keys and values. The other rows of the batch are filled accordingly.
"""

from tonearm.backend import ModelShape
from tonearm.generation.provenance import BatchRecord
from tonearm.generation.request import TakeRequest
from tonearm.musicgen.memory_estimate import BatchShape
from tonearm.musicgen.sampling import Sampling


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


def recorded_shape(request: TakeRequest, place: BatchRecord, shape: ModelShape) -> BatchShape:
    """Quantities that the memory of reproducing a take depends on.

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
        text_tokens=place.text_tokens,
        negatives=len(place.negative_rows),
        codec_rows=place.codec_rows,
    )
