"""How much memory a decoding takes, worked out from shapes, and how many rows fit into what there is.

What counts, for R rows (guidance doubles them) of P positions:

    cache      keys and values of every layer and position           2 L R P D
    text       keys and values of the text, once a prompt            2 L B N D     (cross-attention checkpoints)
    prefill    what one block holds while it reads the positions known beforehand
    draw       logits, their filtered copies, and the noise of a run of steps
    sound      what the codec's last stage holds while one row becomes audio

The weights are not counted: they are there before. tests/musicgen/test_memory.py holds this against the measured peak.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.noise import MAX_RUN_CELLS, MAX_RUN_STEPS
from tonearm.musicgen.packed_linear import stream_dtype

GIB = 2**30
FREE_SHARE = 0.5  # of the free memory, where no limit is given
MAX_WAVE_ROWS = 64  # more rows at a time are hardly faster, and keep the first takes waiting
BLOCK_COPIES = 11  # of the stream, beside the two of the feed-forward network's inside
LOGITS_COPIES = 8
NOISE_BYTES = 40  # a cell, while a run of steps is made
CODEC_COPIES = 5  # of the last stage's widest signal


@dataclass(frozen=True)
class BatchShape:
    """What the memory of a decoding depends on: `frames` of the longest row, decoded `window` at a time."""

    rows: int
    guided: bool
    frames: int
    window: int
    known_frames: int = 0  # the longest stretch read at once: an audio prompt, or what a later window begins with
    text_tokens: int = 16
    vectors: int = 0


def decoding_bytes(checkpoint: Checkpoint, wave: BatchShape) -> int:
    """The peak of decoding a wave and turning its rows into audio one by one, weights not counted."""
    config, codec = checkpoint.model.decoder.config, checkpoint.model.audio_encoder.config
    width, size = checkpoint.width, stream_dtype(checkpoint.device, checkpoint.dtype).itemsize
    rows = wave.rows * (2 if wave.guided else 1)
    in_prefix = checkpoint.family.text_in_prefix
    prefix = checkpoint.model.config.chroma_length + wave.text_tokens if in_prefix else 0
    positions = prefix + min(wave.frames, wave.window) + 1 + checkpoint.delay_frames
    cache = 2 * checkpoint.layer_count * rows * positions * width
    text = 0 if in_prefix else 2 * checkpoint.layer_count * wave.rows * wave.text_tokens * width
    read = prefix + wave.known_frames + 1
    prefill = rows * read * (BLOCK_COPIES * width + 2 * config.ffn_dim)
    cells = wave.rows * checkpoint.codebooks * config.vocab_size
    run = max(cells, min(cells * MAX_RUN_STEPS, MAX_RUN_CELLS))
    draw = 4 * LOGITS_COPIES * cells * (2 if wave.guided else 1) + NOISE_BYTES * run
    steering = 4 * wave.vectors * checkpoint.layer_count * rows * width
    sound = 4 * CODEC_COPIES * codec.num_filters * wave.frames * checkpoint.sample_rate // checkpoint.frame_rate
    return size * (cache + text) + max(size * prefill, draw, sound) + steering


def rows_that_fit(checkpoint: Checkpoint, wave: BatchShape, memory: float | None = None) -> int:
    """How many of a wave's rows, 1 to MAX_WAVE_ROWS, fit `memory` GiB, or FREE_SHARE of what is free.

    Raises TonearmError where one row does not.
    """
    if memory is not None and not memory > 0:
        raise TonearmError(f"{memory:g} GiB of memory is not possible; give more than 0")
    budget = FREE_SHARE * free_bytes(checkpoint.device) if memory is None else memory * GIB
    most = min(wave.rows, MAX_WAVE_ROWS)
    if decoding_bytes(checkpoint, replace(wave, rows=1)) > budget:
        needed = decoding_bytes(checkpoint, replace(wave, rows=1)) / GIB
        raise TonearmError(
            f"a take of {wave.frames / checkpoint.frame_rate:g} s needs {needed:.2f} GiB beside the weights, the limit is {budget / GIB:.2f}; "
            "ask for fewer seconds, or give more memory"
        )
    return last_true(lambda rows: decoding_bytes(checkpoint, replace(wave, rows=rows)) <= budget, 1, most)


def last_true(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The last n in low..high for which `holds` does, which holds for `low` and, once it fails, for none after."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def free_bytes(device: torch.device) -> int:
    """Memory that can be had on a device now; a container's limit counts."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(psutil.virtual_memory().available, _container_bytes())


def _container_bytes(folder: Path = Path("/sys/fs/cgroup")) -> float:
    """What the control group (version 2) leaves, or infinity."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        return float("inf") if limit == "max" else int(limit) - int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return float("inf")
