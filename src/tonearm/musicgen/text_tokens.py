"""Tokens of prompts: their number, the limits and vocabulary of a checkpoint, and padding."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.text import check_text, is_blank, quoted

MAX_FIXED_TOKENS = 64  # above it, a tokenizer's model_max_length is a limit and not a fixed length
MAX_TEXT_CHARACTERS = 10_000  # the text encoder needs memory by the square of the tokens
NAMED_WORDS = 8  # unknown words in a warning

_log = logging.getLogger(__name__)


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
    """Number of tokens of each text, EOS included, in one call of the tokenizer.

    Args:
        checkpoint: of the tokenizer.
        texts: prompts and negative prompts.

    Raises:
        TonearmError: a text is not text, is too long, or has no word in the vocabulary. Some
            unknown words are a warning.
    """
    if not texts:
        return []
    for text in texts:
        check_text(text, "the text")
        if len(text) > MAX_TEXT_CHARACTERS:
            raise TonearmError(
                f"the text {quoted(text)} has {len(text)} characters; write at most "
                f"{MAX_TEXT_CHARACTERS}"
            )
        if text.strip() and is_blank(text):
            raise TonearmError(
                f"the text {shortened(text)!a} has no visible character; "
                "describe the music in a few words"
            )
    with checkpoint.lock:
        encoded = checkpoint.tokenizer(list(texts))
    _check_words(checkpoint, texts, encoded)
    return [len(ids) for ids in encoded.input_ids]


def _check_words(checkpoint: Checkpoint, texts: Sequence[str], encoded: Any) -> None:
    """Warn once of each word outside the vocabulary; raises TonearmError for a text of such words
    alone.
    """
    unknown = checkpoint.tokenizer.unk_token_id
    if unknown is None or not encoded.encodings:  # a tokenizer without offsets
        return
    words: dict[str, None] = {}
    for text, encoding in zip(texts, encoded.encodings, strict=True):
        if unknown not in encoding.ids:
            continue
        tokens = [
            (text[start:end].strip(), identifier == unknown)
            for (start, end), identifier, special in zip(
                encoding.offsets, encoding.ids, encoding.special_tokens_mask, strict=True
            )
            if not special
        ]
        spelled = [(word, missing) for word, missing in tokens if _is_word(word)]
        if all(missing for _, missing in spelled or tokens):
            raise TonearmError(
                f"no word of {quoted(text)} is in the vocabulary of {checkpoint.shape.name}; "
                "use other words"
            )
        words |= dict.fromkeys(word for word, missing in spelled if missing)
    with checkpoint.lock:
        words = {word: None for word in words if word not in checkpoint.warned}
        checkpoint.warned.update(words)
    if words:
        named = ", ".join(quoted(word) for word in list(words)[:NAMED_WORDS])
        more = f" and {len(words) - NAMED_WORDS} more" if len(words) > NAMED_WORDS else ""
        _log.warning(
            "%s reads words that it does not know as one and the same: %s%s; use other words",
            checkpoint.shape.name,
            named,
            more,
        )


def _is_word(token: str) -> bool:
    return any(character.isalnum() for character in token)


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
    """Tokenise texts, padded to `text_tokens`, or to the fixed length, or to the longest. A text is
    truncated only where a length is given or fixed.
    """
    fixed = text_tokens or fixed_tokens(checkpoint)
    with checkpoint.lock:  # a call sets padding and truncation on the tokenizer itself
        encoded = checkpoint.tokenizer(
            list(texts),
            return_tensors="pt",
            padding="max_length" if fixed else True,
            max_length=fixed,
            truncation=fixed is not None,
        )
    device = checkpoint.device
    return Tokens(encoded.input_ids.to(device), encoded.attention_mask.to(device))
