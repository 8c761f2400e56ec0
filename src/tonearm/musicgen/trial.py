"""Trial of a loaded checkpoint: some values of a configuration fail only when they are used."""

import torch

from tonearm.loading import loading_errors
from tonearm.musicgen.checkpoint import AGAIN, Checkpoint
from tonearm.musicgen.codec import decode_codes
from tonearm.musicgen.conditioning import condition

WORD = "a"


def check_parts(checkpoint: Checkpoint) -> None:
    """Encode one word and decode the shortest clip to audio.

    Raises:
        TonearmError: one of them fails, which `generate` would do too.
    """
    shape = checkpoint.shape
    with loading_errors(f"checkpoint {shape.name!r}: config.json", AGAIN):
        condition(checkpoint, [WORD], guided=False)
        decode_codes(checkpoint, torch.zeros(shape.codebooks, shape.min_frames, dtype=torch.int64))
