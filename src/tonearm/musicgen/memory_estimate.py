"""Memory of a decoding, estimated from shapes, and the number of rows that fit.

For R forward rows (guidance doubles the batch rows) of P positions, and T texts of N tokens (prompts
and negative prompts):

    cache      keys and values of every layer and position           2 L R P D
    text       keys and values of the texts, once per prompt         2 L T N D     (cross-attention checkpoints)
    encoder    attention scores of the text encoder                  H T N N
    tables     strengths, guidance and temperature of every frame
    prefill    intermediate values of one block over the known positions
    sampling   logits, their filtered copies, and the noise of a run of steps
    audio      intermediate values of the codec's last stage for the rows and frames that are
               decoded at once, and the rows' samples, twice

Positions and tokens are rounded up, as those of captured steps (cuda_graphs.py). The weights are not
counted. tests/musicgen/test_memory_estimate.py compares this with the measured
peak.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.codec import codec_bytes, codec_row_bytes
from tonearm.musicgen.cuda_graphs import CAPACITY_MULTIPLE, TEXT_MULTIPLE, rounded_up
from tonearm.musicgen.noise import MAX_RUN_CELLS, MAX_RUN_STEPS
from tonearm.musicgen.packed_linear import stream_dtype

GIB = 2**30
FREE_SHARE = 0.5  # of the free memory, where no limit is given
CPU_BATCH_ROWS = 64  # more rows are no faster on a CPU, and delay the first takes
BLOCK_COPIES = 11  # of the stream, beside the two inside the feed-forward network
LOGITS_COPIES = 8
NOISE_BYTES = 40  # per cell, while a run of steps is made
TABLE_BYTES = 256  # per frame, while strengths are tabulated
SCORE_BYTES = 12  # of an attention score of the text encoder: itself and its softmax


@dataclass(frozen=True)
class BatchShape:
    """Quantities that the memory of a decoding depends on.

    `frames` of the longest row, decoded `window` frames at a time; `known_frames`: longest stretch
    read at once, an audio prompt or the start of a later window; `codec_rows`: recorded number of
    rows whose audio is decoded together, default: as the codec chooses.
    """

    rows: int
    guided: bool
    frames: int
    window: int
    known_frames: int = 0
    text_tokens: int = 16
    vectors: int = 0
    negatives: int = 0
    codec_rows: int | None = None


def decoding_bytes(checkpoint: Checkpoint, batch: BatchShape) -> int:
    """Peak of decoding a batch and its rows' audio, weights not counted, in bytes."""
    shape, size = checkpoint.shape, stream_dtype(checkpoint.device, checkpoint.dtype).itemsize
    width, layers = shape.width, shape.layer_count
    rows = batch.rows * (2 if batch.guided else 1)
    prefix = shape.prefix_positions + batch.text_tokens if shape.text_in_prefix else 0
    positions = prefix + min(batch.frames, batch.window) + 1 + shape.delay_frames
    positions = rounded_up(positions, CAPACITY_MULTIPLE)
    cache = 2 * layers * rows * positions * width
    texts, tokens = batch.rows + batch.negatives, batch.text_tokens
    text = 2 * layers * texts * rounded_up(tokens, TEXT_MULTIPLE) * width
    text = 0 if shape.text_in_prefix else text
    heads = checkpoint.model.text_encoder.config.num_attention_heads
    encoder, tables = SCORE_BYTES * heads * texts * tokens**2, TABLE_BYTES * batch.frames
    read = prefix + batch.known_frames + 1
    prefill = rows * read * (BLOCK_COPIES * width + 2 * shape.ffn_width)
    cells = batch.rows * shape.codebooks * shape.codebook_size
    run = max(cells, min(cells * MAX_RUN_STEPS, MAX_RUN_CELLS))
    sampling = 4 * LOGITS_COPIES * cells * (2 if batch.guided else 1) + NOISE_BYTES * run
    steering = 4 * batch.vectors * layers * rows * width
    if batch.codec_rows is None:
        audio = codec_bytes(checkpoint, batch.frames, batch.rows)
    else:
        audio = batch.codec_rows * codec_row_bytes(checkpoint, batch.frames)
    return size * (cache + text) + max(size * prefill, sampling, audio, encoder) + steering + tables


def memory_budget(
    checkpoint: Checkpoint, memory_gib: float | None = None, share: float = FREE_SHARE
) -> float:
    """Bytes that decoding may take: `memory_gib`, or a share of the free memory.

    Raises:
        TonearmError: a limit that is not positive.
    """
    if memory_gib is None:
        return share * free_bytes(checkpoint.device)
    if not memory_gib > 0:
        raise TonearmError(f"{memory_gib:g} GiB of memory is not possible; give more than 0")
    return memory_gib * GIB


def check_memory(checkpoint: Checkpoint, batch: BatchShape, budget: float) -> None:
    """Raise TonearmError if a batch does not fit `budget` bytes."""
    needed = decoding_bytes(checkpoint, batch)
    if needed <= budget:
        return
    seconds = batch.frames / checkpoint.shape.frame_rate
    one_take = f"a take of {seconds:g} s"
    several = f"a batch of {batch.rows} takes of up to {seconds:g} s"
    remedy = "" if batch.rows == 1 else "a smaller batch, "
    raise TonearmError(
        f"{one_take if batch.rows == 1 else several} needs {needed / GIB:.2f} GiB beside the "
        f"weights, the limit is {budget / GIB:.2f}; ask for {remedy}fewer seconds, or give more "
        "memory"
    )


def batch_rows_limit(device: torch.device) -> int | None:
    """Rows of a batch beyond which decoding is no faster; None where memory alone decides."""
    return None if device.type == "cuda" else CPU_BATCH_ROWS


def rows_that_fit(checkpoint: Checkpoint, batch: BatchShape, budget: float) -> int:
    """Number of a batch's rows that fit `budget` bytes.

    Raises:
        TonearmError: not even one row fits.
    """
    check_memory(checkpoint, replace(batch, rows=1), budget)
    return last_true(
        lambda rows: decoding_bytes(checkpoint, replace(batch, rows=rows)) <= budget,
        1,
        batch.rows,
    )


def last_true(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Last n in low..high with holds(n), given holds(low) and that no n after a failure holds."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def free_bytes(device: torch.device) -> int:
    """Free memory of a device now; a container's limit counts, and torch's cache as free."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    return min(psutil.virtual_memory().available, _container_bytes())


def _container_bytes(folder: Path = Path("/sys/fs/cgroup")) -> float:
    """Memory that the control group (version 2) leaves, or infinity."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        if limit == "max":
            return float("inf")
        return int(limit) - int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return float("inf")
