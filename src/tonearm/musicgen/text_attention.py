"""Cross-attention to the text, for the rows that have one.

Keys and values are computed once per prompt and shared by its rows. The null rows of guidance are
left out: they attend to zeros, which gives exactly 0.

Shapes: R forward rows; n rows with text; g of them per prompt; N tokens; S positions; D width; H
heads.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from tonearm.backend import Span, Taps, run_taps
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import Conditioning, project_text
from tonearm.musicgen.cuda_graphs import TEXT_MULTIPLE, Keep, rounded_up
from tonearm.musicgen.packed_block import Block


@dataclass(frozen=True)
class TextLayout:
    """Sizes of a batch's text; they decide the kernels of cross-attention.

    rows     n
    leading  the rows with text are the first n
    group    g
    tokens   N, padding included
    masked   attention is masked
    """

    rows: int
    leading: bool
    group: int
    tokens: int
    masked: bool

    @classmethod
    def of(cls, conditioning: Conditioning, fixed: bool) -> "TextLayout":
        """Layout of a conditioning; a `fixed` one, for captured steps, fits similar texts too."""
        has_text = conditioning.has_text
        rows, mask = int(has_text.sum()), conditioning.mask[has_text]
        tokens = mask.shape[1]
        return cls(
            rows=rows,
            # With guidance and no negative prompts; a slice needs no copy.
            leading=bool(has_text[:rows].all()),
            group=conditioning.text_group,
            tokens=rounded_up(tokens, TEXT_MULTIPLE) if fixed else tokens,
            masked=fixed or not bool(mask.all()),
        )


class TextAttention:
    """Keys and values of a batch's text at all layers.

    Args:
        checkpoint: of the projection into the decoder.
        blocks: the decoder's.
        conditioning: with the text.
        layout: of the conditioning.
        dtype: of activations.
        keep: puts tensors where captured steps read them.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        blocks: Sequence[Block],
        conditioning: Conditioning,
        layout: TextLayout,
        dtype: torch.dtype,
        keep: Keep,
    ):
        self.heads, self.group = checkpoint.shape.heads, layout.group
        rows = conditioning.has_text.nonzero()[:, 0]
        self.rows: slice | torch.Tensor = (
            slice(0, layout.rows) if layout.leading else keep("text rows", rows)
        )
        states = conditioning.states[rows][:: self.group]
        mask = conditioning.mask[rows][:: self.group].bool()
        states = project_text(checkpoint, states).to(dtype) * mask[..., None]
        padding = layout.tokens - mask.shape[1]
        states, mask = F.pad(states, (0, 0, 0, padding)), F.pad(mask, (0, padding))
        self.mask = keep("text mask", mask[:, None, None, :]) if layout.masked else None
        # Sizes are written out, since without any row of text there is nothing to infer one from.
        split = (2, self.heads, states.shape[-1] // self.heads)
        self.keys, self.values = [], []
        for index, block in enumerate(blocks):
            assert block.text_key_value is not None
            k, v = block.text_key_value(states).view(*states.shape[:2], *split).unbind(2)
            self.keys.append(keep(f"text keys {index}", k.transpose(1, 2).contiguous()))
            self.values.append(keep(f"text values {index}", v.transpose(1, 2).contiguous()))

    def attend(
        self, index: int, block: Block, h: torch.Tensor, span: Span, taps: Taps
    ) -> torch.Tensor:
        """h [R, S, D] after cross-attention of layer `index`."""
        assert block.text_norm and block.text_query and block.text_out
        read = h[self.rows]
        rows, length, width = read.shape
        # The rows of one prompt are queries of one prompt: its keys and values are read once for
        # all of them.
        q = block.text_query(block.text_norm(read)).view(
            rows // self.group, self.group * length, self.heads, width // self.heads
        )
        heads = F.scaled_dot_product_attention(
            q.transpose(1, 2), self.keys[index], self.values[index], attn_mask=self.mask
        )
        attended = block.text_out(heads.transpose(1, 2).reshape(rows, length, width))
        here = taps.get(("cross_attention", index), ())
        if len(read) == len(h):
            return h + run_taps(here, attended, span)
        spread = torch.zeros_like(h)
        spread[self.rows] = attended
        return h + run_taps(here, spread, span)
