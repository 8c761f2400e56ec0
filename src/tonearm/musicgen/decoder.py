"""Tonearm's decoder: a forward pass over packed weights, with a preallocated cache and taps.

    tokens [B, K, S] ─ embeddings + positions ─► blocks ─► norm ─► heads ─► logits [R, K, V] of the last position

R rows are those of the conditioning: [conditional..., unconditional...] with guidance. Reasons for
its speed: weights packed once; query, key and value in one product; keys and values written in
place; text keys and values computed once per prompt, shared by its rows; no cross-attention for
rows without text, where it is exactly 0.
"""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from tonearm.backend import Span, Taps, run_taps
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.cuda_graphs import (
    CAPACITY_MULTIPLE,
    GraphCapture,
    GraphKey,
    StepGraphs,
    capture_on_cuda,
    kernel_settings,
    rounded_up,
)
from tonearm.musicgen.graph_pool import GraphPool
from tonearm.musicgen.packed_block import Block, Norm
from tonearm.musicgen.packed_linear import pack, stream_dtype
from tonearm.musicgen.steering_buffers import SteeringBuffers
from tonearm.musicgen.text_attention import TextAttention, TextLayout


class Decoder:
    """Packed weights, ready to decode. It holds no state of a decoding that runs, so that many can
    share it, and the captured graphs of earlier ones (graph_pool.py).

    Args:
        checkpoint: whose decoder weights are packed.
        consume: free the checkpoint's own decoder weights layer by layer as they are packed, so
            that they are in memory once. `checkpoint.decoder` raises afterwards.
    """

    def __init__(self, checkpoint: Checkpoint, consume: bool = False):
        decoder = checkpoint.decoder
        stack, config = decoder.model.decoder, decoder.config
        self.checkpoint = checkpoint
        self.dtype = stream_dtype(checkpoint.device, checkpoint.dtype)
        self.heads = config.num_attention_heads
        self.activation = stack.layers[0].activation_fn
        self.blocks = []
        for layer in stack.layers:
            self.blocks.append(Block.of(layer, checkpoint.int8))
            if consume:
                layer.to_empty(device="meta")
        self.norm = Norm.of(stack.layer_norm)
        self.logits = pack(torch.cat([head.weight for head in decoder.lm_heads]), checkpoint.int8)
        self.embeddings = torch.cat(
            [table.weight for table in stack.embed_tokens]
        ).detach()  # [K * (V + 1), D]
        rows = len(self.embeddings) // checkpoint.shape.codebooks
        self.first_row = (
            torch.arange(checkpoint.shape.codebooks, device=checkpoint.device)[:, None] * rows
        )
        self.embed_positions = stack.embed_positions
        self.capture: GraphCapture | None = (
            capture_on_cuda if checkpoint.device.type == "cuda" else None
        )
        self.pool = GraphPool(checkpoint.device)
        if consume:
            for module in (*decoder.lm_heads, *stack.embed_tokens):
                module.to_empty(device="meta")
            checkpoint.consumed = True

    def position_table(self, positions: int) -> torch.Tensor:
        """The checkpoint's own sinusoids, [positions, D]; a checkpoint stored in float16 has
        rounded ones.
        """
        table = self.embed_positions
        with self.checkpoint.lock:  # one table serves all threads, and grows
            if positions > len(table.weights):
                table.make_weights(positions, table.embedding_dim)
            return table.weights[:positions]

    def heads_of(self, h: torch.Tensor) -> torch.Tensor:
        """Logits [R, K, V] of normed states [R, D]."""
        return self.logits(h).view(len(h), self.checkpoint.shape.codebooks, -1)

    @torch.inference_mode()
    def begin(
        self,
        conditioning: Conditioning,
        positions: int,
        first_frame: int = 0,
        steering: SteeringBuffers | None = None,
    ) -> "DecoderState":
        """State for one decoding.

        Args:
            conditioning: of the rows.
            positions: code positions to allocate.
            first_frame: frame that the first position decides.
            steering: the taps of its steps, if there are no others: the steps may then run as
                captured graphs, where the device has them. Its tensors move to where these read
                them.
        """
        capacity = conditioning.prefix + positions
        is_fixed = steering is not None and self.capture is not None
        text = None if conditioning.prefix else TextLayout.of(conditioning, is_fixed)
        if steering is None or self.capture is None:
            self.pool.make_room()
            return DecoderState(self, conditioning, capacity, text, first_frame)
        key = GraphKey(
            rows=conditioning.rows,
            forward_rows=len(conditioning.states),
            capacity=rounded_up(capacity, CAPACITY_MULTIPLE),
            text=text,
            taps=steering.structure,
            settings=kernel_settings(),
        )
        graphs = self.pool.take(key) or StepGraphs(key, self.checkpoint.device, self.capture)
        steering.place(graphs.keep)
        return DecoderState(self, conditioning, key.capacity, text, first_frame, graphs)


class DecoderState:
    """Cache and position of one decoding.

    Args:
        decoder: to run.
        conditioning: of the rows.
        capacity: positions of the cache, prefix included.
        text: layout of the text that cross-attention reads; None for prefix checkpoints.
        first_frame: frame that the first code position decides.
        graphs: those of its steps, which hold its tensors; None if no step is captured.
    """

    def __init__(
        self,
        decoder: Decoder,
        conditioning: Conditioning,
        capacity: int,
        text: TextLayout | None,
        first_frame: int,
        graphs: StepGraphs | None = None,
    ):
        checkpoint = decoder.checkpoint
        rows, width = len(conditioning.states), checkpoint.shape.width
        self.decoder, self.conditioning, self.graphs = decoder, conditioning, graphs
        self.capacity, self.first_frame = capacity, first_frame
        self.length = 0  # positions in the cache, prefix included
        size = (len(decoder.blocks), rows, decoder.heads, capacity, width // decoder.heads)
        # Captured steps read past the position with weight 0, which keeps NaN: their cache starts as
        # zeros.
        if graphs:
            self.keys = graphs.zeros("keys", size, decoder.dtype)
            self.values = graphs.zeros("values", size, decoder.dtype)
        else:
            self.keys = torch.empty(size, device=checkpoint.device, dtype=decoder.dtype)
            self.values = torch.empty_like(self.keys)
        keep = graphs.keep if graphs else _as_it_is
        self.positions = keep("positions", decoder.position_table(capacity).to(self.keys))
        self.text = None
        if text is not None:
            self.text = TextAttention(
                checkpoint, decoder.blocks, conditioning, text, decoder.dtype, keep
            )

    def close(self) -> None:
        """Put the graphs back for later decodings, which overwrite the tensors of this one."""
        graphs, self.graphs = self.graphs, None
        if graphs:
            self.decoder.pool.put(graphs)

    @property
    def codes_read(self) -> int:
        """Code positions in the cache."""
        return max(0, self.length - self.conditioning.prefix)

    def rewind(self, codes_read: int) -> None:
        """Forget all code positions from `codes_read` on, which must have been read."""
        length = self.conditioning.prefix + codes_read
        if not self.conditioning.prefix < length <= self.length:
            raise IndexError(f"{codes_read} of {self.codes_read} positions cannot be kept")
        self.length = length

    @torch.inference_mode()
    def forward(self, tokens: torch.Tensor, taps: Taps) -> torch.Tensor:
        """Read tokens [B, K, S] at the next S code positions; return logits [R, K, V] after the
        last.
        """
        if self.graphs and self.length and tokens.shape[-1] == 1:
            self._check_capacity(self.length + 1)
            logits = self.graphs(tokens, self.length, partial(self.fixed_step, taps=taps))
            if logits is not None:
                self.length += 1
                return logits
            self.graphs = None
        return self.decoder.heads_of(self.hidden(tokens, taps)[:, -1])

    @torch.inference_mode()
    def hidden(self, tokens: torch.Tensor, taps: Taps) -> torch.Tensor:
        """Read tokens [B, K, S] at the next S code positions; return what the heads read after each
        of them, [R, S, D].
        """
        conditioning = self.conditioning
        h = self._embed(tokens)
        first, prefix = self.codes_read, 0
        if self.length == 0 and conditioning.prefix:
            h, prefix = torch.cat([conditioning.states.to(h), h], dim=1), conditioning.prefix
        span = Span(prefix, self.first_frame + first, h.shape[1])
        end = self.length + span.length
        self._check_capacity(end)
        h = h + self.positions[self.length : end]
        h = self._through(h, DynamicCacheView(end, span.length), span, taps)
        self.length = end
        return h[:, prefix:]

    def fixed_step(
        self, tokens: torch.Tensor, position: torch.Tensor, bucket_end: int, taps: Taps
    ) -> torch.Tensor:
        """One step at `position` [1] whose shapes and addresses are constant, so that a graph can
        capture it.
        """
        h = self._embed(tokens) + self.positions.index_select(0, position)
        visible = (torch.arange(bucket_end, device=position.device) <= position)[None]
        view = StaticCacheView(position, bucket_end, visible)
        return self.decoder.heads_of(self._through(h, view, Span(0, 0, 1), taps)[:, -1])

    def _embed(self, tokens: torch.Tensor) -> torch.Tensor:
        decoder = self.decoder
        ids = (tokens + decoder.first_row).transpose(1, 2)
        h = F.embedding(ids, decoder.embeddings).to(decoder.dtype).sum(2)
        return torch.cat([h, h]) if self.conditioning.guided else h

    def _check_capacity(self, end: int) -> None:
        if end > self.capacity:
            raise IndexError(f"{end} positions do not fit a cache of {self.capacity}")

    def _through(
        self, h: torch.Tensor, cache: "DynamicCacheView | StaticCacheView", span: Span, taps: Taps
    ) -> torch.Tensor:
        """The blocks and the norm, [R, S, D]."""
        decoder = self.decoder
        for index, block in enumerate(decoder.blocks):
            h = self._attend(index, block, h, cache, span, taps)
            if self.text is not None:
                h = self.text.attend(index, block, h, span, taps)
            h = h + block.feed_out(decoder.activation(block.feed_in(block.feed_norm(h))))
            h = run_taps(taps.get(("residual", index), ()), h, span)
        return decoder.norm(h)

    def _attend(
        self,
        index: int,
        block: Block,
        h: torch.Tensor,
        cache: "DynamicCacheView | StaticCacheView",
        span: Span,
        taps: Taps,
    ) -> torch.Tensor:
        rows, length, width = h.shape
        q, k, v = (
            block.query_key_value(block.attention_norm(h))
            .view(rows, length, 3, self.decoder.heads, -1)
            .unbind(2)
        )
        keys, values = cache.put(self.keys[index], k), cache.put(self.values[index], v)
        heads = F.scaled_dot_product_attention(
            q.transpose(1, 2), keys, values, attn_mask=cache.mask, is_causal=length > 1
        )
        heads = heads.transpose(1, 2).reshape(rows, length, width)
        heads = run_taps(taps.get(("heads", index), ()), heads, span)
        attended = block.attention_out(heads)
        return h + run_taps(taps.get(("attention", index), ()), attended, span)


def _as_it_is(name: str, value: torch.Tensor) -> torch.Tensor:
    """The value itself, for steps that are not captured."""
    return value


@dataclass(frozen=True)
class DynamicCacheView:
    """The cache up to `end`; its last `length` positions are new."""

    end: int
    length: int
    mask: None = None

    def put(self, cache: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """Write new keys or values [R, S, H, D / H] into a layer's cache; return those that
        attention reads.
        """
        valid = cache[:, :, : self.end]
        valid[:, :, -self.length :] = new.transpose(1, 2)
        return valid


@dataclass(frozen=True)
class StaticCacheView:
    """The first `bucket_end` positions of the cache, of which `mask` shows the valid ones;
    `position` is the new one.
    """

    position: torch.Tensor
    bucket_end: int
    mask: torch.Tensor

    def put(self, cache: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        cache.index_copy_(2, self.position, new.transpose(1, 2))
        return cache[:, :, : self.bucket_end]
