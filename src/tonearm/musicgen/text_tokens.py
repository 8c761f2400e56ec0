"""Tokens of prompts: their number, the limits of a checkpoint, and padding."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint

MAX_FIXED_TOKENS = 64  # above it, a tokenizer's model_max_length is a limit and not a fixed length


@dataclass(frozen=True)
class Tokens:
    """Token ids and mask, int64 [N, tokens]."""

    ids: torch.Tensor
    mask: torch.Tensor


def fixed_tokens(checkpoint: Checkpoint) -> int | None:
    """Length to which every text is padded, as in pocket's training; None where there is none."""
    length = checkpoint.tokenizer.model_max_length
    return length if length <= MAX_FIXED_TOKENS else None


def count_tokens(checkpoint: Checkpoint, texts: Sequence[str]) -> list[int]:
    """Number of tokens of each text, EOS included, in one call of the tokenizer."""
    if not texts:
        return []
    with checkpoint.lock:
        return [len(ids) for ids in checkpoint.tokenizer(list(texts)).input_ids]


def padded_tokens(checkpoint: Checkpoint, prompt: str, longest: int) -> int:
    """Tokens to which a row's texts must be padded, where padding is read: prefix checkpoints.

    Args:
        checkpoint: of the tokenizer.
        prompt: the row's prompt, for the message.
        longest: tokens of its longest text.

    Returns:
        The number of tokens; 0 for cross-attention checkpoints, where padding is masked.

    Raises:
        TonearmError: the text is longer than the checkpoint's fixed length.
    """
    fixed = fixed_tokens(checkpoint)
    if fixed and longest > fixed:
        raise TonearmError(
            f"the text takes {longest} tokens, {checkpoint.shape.name} reads {fixed}; "
            f"shorten it: {prompt[:40]!r} ..."
        )
    return (fixed or longest) if checkpoint.shape.text_in_prefix else 0


def tokenise(
    checkpoint: Checkpoint, texts: Sequence[str], text_tokens: int | None = None
) -> Tokens:
    """Tokenise texts, padded to `text_tokens`, or to the fixed length, or to the longest."""
    fixed = text_tokens or fixed_tokens(checkpoint)
    with checkpoint.lock:  # a call sets padding and truncation on the tokenizer itself
        encoded = checkpoint.tokenizer(
            list(texts),
            return_tensors="pt",
            padding="max_length" if fixed else True,
            max_length=fixed,
            truncation=True,
        )
    device = checkpoint.device
    return Tokens(encoded.input_ids.to(device), encoded.attention_mask.to(device))
