"""Conditioning of the decoder: text and melody, null rows for guidance included.

Rows are [conditional..., unconditional...], not interleaved. Prefix checkpoints put [chroma][text]
before the codes; the others read the text by cross-attention. The result is passed to `generate()`
too, so that negative prompts and mixed batches work on both families; with plain prompts it equals
the tensors that `generate()` builds.

Shapes: B batch rows; R forward rows (B, or 2 B with guidance); P positions; N tokens; D width.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from tonearm.audio import Clip
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.melody import check_melody, chromagram
from tonearm.musicgen.text_tokens import tokenise


@dataclass(frozen=True)
class Conditioning:
    """Conditioning of B rows.

    states, mask        [R, P, D] and its mask [R, P]
    text_ids, text_mask the tokenised prompts, int64 [B, N]
    rows                B
    guided              R = 2 B
    prefix              positions before the codes; 0 for cross-attention checkpoints
    text_group          neighbouring rows with text that share one row of text keys and values
                        (cross-attention checkpoints)
    """

    states: torch.Tensor
    mask: torch.Tensor
    text_ids: torch.Tensor
    text_mask: torch.Tensor
    rows: int
    guided: bool
    prefix: int
    text_group: int = 1

    @property
    def has_text(self) -> torch.Tensor:
        """Whether a forward row has text, bool [R]; the null rows of guidance have none."""
        return self.mask.bool().any(1)

    @property
    def eos_positions(self) -> torch.Tensor:
        """Position of the text's EOS in the prefix, [B]: the last with mask 1, on either padding
        side.
        """
        last = self.text_mask.shape[1] - 1 - self.text_mask.flip(1).argmax(1)
        return self.prefix - self.text_mask.shape[1] + last

    def conditional(self, h: torch.Tensor) -> torch.Tensor:
        """Activations of the conditional rows, [B, S, D], of all rows h [R, S, D]."""
        return h[: self.rows]

    def at_eos(self, h: torch.Tensor) -> torch.Tensor:
        """Activations at the text's EOS, [B, D], of conditional rows h [B, S, D] of the first call."""
        return h[torch.arange(self.rows), self.eos_positions]


@dataclass(frozen=True)
class EncodedTexts:
    """Texts of B rows, encoded.

    states, mask  of the forward rows, [R, N, D] and [R, N]
    ids, id_mask  the tokenised prompts, int64 [B, N]
    guided        R = 2 B
    text_group    see `Conditioning`
    """

    states: torch.Tensor
    mask: torch.Tensor
    ids: torch.Tensor
    id_mask: torch.Tensor
    guided: bool
    text_group: int

    @property
    def rows(self) -> int:
        return len(self.ids)


def condition(
    checkpoint: Checkpoint,
    prompts: Sequence[str | None],
    *,
    guided: bool,
    negatives: Sequence[str | None] | None = None,
    melody: Clip | None = None,
    text_tokens: int | None = None,
    text_group: int | None = None,
) -> Conditioning:
    """Encode prompts, negative prompts and a melody.

    Args:
        checkpoint: of the encoders.
        prompts: B texts; None or "" for the null text.
        guided: add the unconditional rows of classifier-free guidance.
        negatives: texts for the unconditional rows; None or "" for the null text.
        melody: shared by all rows.
        text_tokens: pad the texts to this many tokens.
        text_group: see `Conditioning`; default: the largest that the texts allow.

    Raises:
        TonearmError: a melody that the checkpoint cannot follow.
    """
    if melody is not None:
        check_melody(checkpoint.shape, melody)
    texts = encode_texts(
        checkpoint,
        prompts,
        guided=guided,
        negatives=negatives,
        text_tokens=text_tokens,
        text_group=text_group,
    )
    return with_melody(checkpoint, texts, melody)


def encode_texts(
    checkpoint: Checkpoint,
    prompts: Sequence[str | None],
    *,
    guided: bool,
    negatives: Sequence[str | None] | None = None,
    text_tokens: int | None = None,
    text_group: int | None = None,
) -> EncodedTexts:
    """Encode prompts and negative prompts; the arguments are those of `condition`.

    The null text has zero states and mask 0: MusicGen was trained so on music without a text. It is
    not the encoded empty string, whose EOS has a state.
    """
    texts = [text or "" for text in (*prompts, *(negatives or ()))]
    tokens, rows = tokenise(checkpoint, texts, text_tokens), len(prompts)
    is_given = torch.tensor([bool(text) for text in texts], device=checkpoint.device)[:, None]
    states = _encode_text(checkpoint, tokens.ids, tokens.mask)
    states, mask = torch.where(is_given[..., None], states, 0), tokens.mask * is_given
    conditional, mask_of_text = states[:rows], mask[:rows]
    if guided:
        null, null_mask = torch.zeros_like(conditional), torch.zeros_like(mask_of_text)
        if negatives is not None:
            null, null_mask = states[rows:], mask[rows:]
        states, mask = torch.cat([conditional, null]), torch.cat([mask_of_text, null_mask])
    else:
        states, mask = conditional, mask_of_text
    if text_group is None and not checkpoint.shape.text_in_prefix:
        has_text = mask.bool().any(1)
        text_group = largest_text_group(states[has_text], mask[has_text])
    return EncodedTexts(
        states, mask, tokens.ids[:rows], tokens.mask[:rows], guided, text_group or 1
    )


def with_melody(checkpoint: Checkpoint, texts: EncodedTexts, melody: Clip | None) -> Conditioning:
    """Conditioning of encoded texts and a melody, which all rows share."""
    states, prefix = texts.states, 0
    if checkpoint.shape.text_in_prefix:
        chroma = _chroma_states(checkpoint, texts.rows, texts.guided, melody)
        states = torch.cat([chroma, states], dim=1)
        prefix = states.shape[1]
    return Conditioning(
        states,
        texts.mask,
        texts.ids,
        texts.id_mask,
        texts.rows,
        texts.guided,
        prefix,
        texts.text_group,
    )


def largest_text_group(states: torch.Tensor, mask: torch.Tensor) -> int:
    """Largest g such that every g neighbouring rows have one text.

    Args:
        states: text states [R, P, D] of the rows with text.
        mask: their mask [R, P].
    """
    rows = len(states)
    same = (states[1:] == states[:-1]).flatten(1).all(1) & (mask[1:] == mask[:-1]).all(1)
    starts = [0, *(int(i) + 1 for i in (~same).nonzero()), rows]
    return math.gcd(*(end - start for start, end in pairwise(starts)))


@torch.no_grad()
def _encode_text(checkpoint: Checkpoint, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    model = checkpoint.model
    states = model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    if checkpoint.shape.text_in_prefix:
        states = project_text(checkpoint, states) * mask[..., None]
    return states


def project_text(checkpoint: Checkpoint, states: torch.Tensor) -> torch.Tensor:
    """Text states [R, N, D], as wide as the decoder."""
    if states.shape[-1] == checkpoint.shape.width:
        return states
    return checkpoint.model.enc_to_dec_proj(states.to(checkpoint.dtype))


@torch.no_grad()
def _chroma_states(
    checkpoint: Checkpoint, rows: int, guided: bool, melody: Clip | None
) -> torch.Tensor:
    """Chroma states [R, prefix_positions, D]; without a melody the null chroma, pitch class 0."""
    model, length = checkpoint.model, checkpoint.shape.prefix_positions
    classes = model.config.num_chroma
    null = torch.zeros(rows, 1, classes, device=checkpoint.device, dtype=checkpoint.dtype)
    null[:, :, 0] = 1
    chroma = null
    if melody is not None:
        chroma = chromagram(melody, classes, length).to(null)[None].expand(rows, -1, -1)
        null = null.expand(-1, chroma.shape[1], -1)
    if guided:
        chroma = torch.cat([chroma, null])
    if classes != checkpoint.shape.width:
        chroma = model.audio_enc_to_dec_proj(chroma)
    repeats = -(-length // chroma.shape[1])
    return chroma.repeat(1, repeats, 1)[:, :length]
