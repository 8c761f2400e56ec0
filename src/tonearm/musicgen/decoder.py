"""Tonearm's decoder: a forward pass over packed weights, with a preallocated cache and taps.

    tokens [B, K, S] ─ embeddings + positions ─► blocks ─► norm ─► heads ─► logits [R, K, V] of the last position

R rows are those of the conditioning: [conditional..., unconditional...] with guidance. Reasons for
its speed: weights packed once; query, key and value in one product; keys and values written in
place; text keys and values computed once per prompt, shared by its rows; no cross-attention for
rows without text, where it is exactly 0.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from tonearm.backend import Span, Taps, run_taps
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import Conditioning, project_text
from tonearm.musicgen.cuda_graphs import GraphCapture, StepGraphs, capture_on_cuda
from tonearm.musicgen.packed_linear import Linear, pack, stream_dtype


@dataclass(frozen=True)
class _Norm:
    weight: torch.Tensor
    bias: torch.Tensor
    eps: float

    @classmethod
    def of(cls, module: Any) -> "_Norm":
        dtype = stream_dtype(module.weight.device, module.weight.dtype)
        return cls(module.weight.detach().to(dtype), module.bias.detach().to(dtype), module.eps)

    def __call__(self, h: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(h, h.shape[-1:], self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class _Block:
    attention_norm: _Norm
    query_key_value: Linear
    attention_out: Linear
    text_norm: _Norm | None
    text_query: Linear | None
    text_key_value: Linear | None
    text_out: Linear | None
    feed_norm: _Norm
    feed_in: Linear
    feed_out: Linear

    @classmethod
    def of(cls, layer: Any, int8: bool) -> "_Block":
        def packed(*weights: torch.Tensor) -> Linear:
            return pack(torch.cat(weights), int8)

        own, text = layer.self_attn, getattr(layer, "encoder_attn", None)
        return cls(
            attention_norm=_Norm.of(layer.self_attn_layer_norm),
            query_key_value=packed(own.q_proj.weight, own.k_proj.weight, own.v_proj.weight),
            attention_out=packed(own.out_proj.weight),
            text_norm=_Norm.of(layer.encoder_attn_layer_norm) if text else None,
            text_query=packed(text.q_proj.weight) if text else None,
            text_key_value=packed(text.k_proj.weight, text.v_proj.weight) if text else None,
            text_out=packed(text.out_proj.weight) if text else None,
            feed_norm=_Norm.of(layer.final_layer_norm),
            feed_in=packed(layer.fc1.weight),
            feed_out=packed(layer.fc2.weight),
        )


class Decoder:
    """Packed weights, ready to decode. It holds no state of any decoding, so that many can share
    it.

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
            self.blocks.append(_Block.of(layer, checkpoint.int8))
            if consume:
                layer.to_empty(device="meta")
        self.norm = _Norm.of(stack.layer_norm)
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

    def begin(
        self,
        conditioning: Conditioning,
        positions: int,
        first_frame: int = 0,
        may_capture: bool = False,
    ) -> "DecoderState":
        """State for one decoding.

        Args:
            conditioning: of the rows.
            positions: code positions to allocate.
            first_frame: frame that the first position decides.
            may_capture: its steps may run as captured graphs, where the device has them; all taps
                then have to be those of SteeringBuffers.
        """
        return DecoderState(
            self, conditioning, positions, first_frame, self.capture if may_capture else None
        )


class DecoderState:
    """Cache and position of one decoding."""

    def __init__(
        self,
        decoder: Decoder,
        conditioning: Conditioning,
        positions: int,
        first_frame: int,
        capture: GraphCapture | None,
    ):
        checkpoint = decoder.checkpoint
        rows, width = len(conditioning.states), checkpoint.shape.width
        self.decoder, self.conditioning = decoder, conditioning
        self.capacity, self.first_frame = conditioning.prefix + positions, first_frame
        self.length = 0  # positions in the cache, prefix included
        size = (len(decoder.blocks), rows, decoder.heads, self.capacity, width // decoder.heads)
        # Graphs read past the position with weight 0, which keeps NaN: their cache starts as zeros.
        make = torch.zeros if capture else torch.empty
        self.keys = make(size, device=checkpoint.device, dtype=decoder.dtype)
        self.values = make(size, device=checkpoint.device, dtype=decoder.dtype)
        self.positions = decoder.position_table(self.capacity).to(self.keys)
        self.text = None if conditioning.prefix else _Text(decoder, conditioning)
        self.graphs: StepGraphs | None = None
        if capture:
            self.graphs = StepGraphs(
                self.fixed_step,
                conditioning.rows,
                checkpoint.shape.codebooks,
                self.capacity,
                checkpoint.device,
                capture,
            )

    @property
    def codes_read(self) -> int:
        """Code positions in the cache."""
        return max(0, self.length - self.conditioning.prefix)

    @torch.inference_mode()
    def forward(self, tokens: torch.Tensor, taps: Taps) -> torch.Tensor:
        """Read tokens [B, K, S] at the next S code positions; return logits [R, K, V] after the
        last.
        """
        if self.graphs and self.length and tokens.shape[-1] == 1:
            self._check_capacity(self.length + 1)
            logits = self.graphs(tokens, self.length, taps)
            self.length += 1
            return logits
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

    def drop_graphs(self) -> None:
        """Drop the graphs, which refer to this state: without them it is freed with its last
        reference.
        """
        if self.graphs:
            self.graphs.steps.clear()
            self.graphs = None

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
        block: _Block,
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


class _Text:
    """Keys and values of the text, for the rows that have one: null rows attend to zeros, which
    gives exactly 0.
    """

    def __init__(self, decoder: Decoder, conditioning: Conditioning):
        has_text = conditioning.has_text
        rows = has_text.nonzero()[:, 0]
        # With guidance and no negative prompts the rows with text come first: a slice needs no
        # copy.
        self.rows: slice | torch.Tensor = (
            slice(0, len(rows)) if bool(has_text[: len(rows)].all()) else rows
        )
        self.heads = decoder.heads
        self.group = conditioning.text_group
        states = conditioning.states[rows][:: self.group]
        mask = conditioning.mask[rows][:: self.group].bool()
        self.mask = None if bool(mask.all()) else mask[:, None, None, :]
        states = project_text(decoder.checkpoint, states).to(decoder.dtype) * mask[..., None]
        split = (2, self.heads, states.shape[-1] // self.heads)
        self.keys, self.values = [], []
        for block in decoder.blocks:
            assert block.text_key_value is not None
            k, v = block.text_key_value(states).view(*states.shape[:2], *split).unbind(2)
            self.keys.append(k.transpose(1, 2).contiguous())
            self.values.append(v.transpose(1, 2).contiguous())

    def attend(
        self, index: int, block: _Block, h: torch.Tensor, span: Span, taps: Taps
    ) -> torch.Tensor:
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
