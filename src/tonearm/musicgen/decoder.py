"""Tonearm's forward pass over a checkpoint's decoder weights, with a preallocated cache and taps.

    tokens [B, K, S] ─ embeddings + positions ─► blocks ─► norm ─► heads ─► logits [R, K, V] of the last position

R rows are those of the conditioning: [conditional..., unconditional...] with guidance. What makes it fast: weights packed once; query, key and
value in one product; keys and values written in place; text keys and values once a prompt, shared by its rows; no
cross-attention for rows without text, where it is exactly 0.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F

from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.cuda_graphs import GraphCapture, StepGraphs, capture_on_cuda
from tonearm.musicgen.hooks import Span, Taps, run_taps
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
    """The weights, ready to decode; holds no state of any decoding, so that many can share it.

    Packed weights are copies. Unless `keep_weights`, the checkpoint's own decoder gives up its weights layer by layer as they are packed, so that
    they are in memory once; only this decoder can use the checkpoint afterwards.
    """

    def __init__(self, checkpoint: Checkpoint, keep_weights: bool = True):
        decoder = checkpoint.model.decoder
        stack, config = decoder.model.decoder, decoder.config
        self.checkpoint = checkpoint
        self.dtype = stream_dtype(checkpoint.device, checkpoint.dtype)
        self.heads = config.num_attention_heads
        self.activation = stack.layers[0].activation_fn
        self.blocks = []
        for layer in stack.layers:
            self.blocks.append(_Block.of(layer, checkpoint.int8))
            if not keep_weights:
                layer.to_empty(device="meta")
        self.norm = _Norm.of(stack.layer_norm)
        self.logits = pack(torch.cat([head.weight for head in decoder.lm_heads]), checkpoint.int8)
        self.embeddings = torch.cat([table.weight for table in stack.embed_tokens]).detach()  # [K * (V + 1), D]
        rows = len(self.embeddings) // checkpoint.codebooks
        self.first_row = torch.arange(checkpoint.codebooks, device=checkpoint.device)[:, None] * rows
        self.embed_positions = stack.embed_positions
        self.capture: GraphCapture | None = capture_on_cuda if checkpoint.device.type == "cuda" else None
        if not keep_weights:
            for module in (*decoder.lm_heads, *stack.embed_tokens):
                module.to_empty(device="meta")

    def position_table(self, positions: int) -> torch.Tensor:
        """The checkpoint's own sinusoids, [positions, D]: one stored in float16 has them rounded so, and hears the difference."""
        table = self.embed_positions
        with self.checkpoint.lock:  # one table serves all threads, and grows
            if positions > len(table.weights):
                table.make_weights(positions, table.embedding_dim)
            return table.weights[:positions]

    def begin(
        self, conditioning: Conditioning, positions: int, first_frame: int = 0, may_capture: bool = False
    ) -> "DecoderState":
        """State for one decoding of up to `positions` code positions, the first of which decides `first_frame`.

        may_capture: its steps may run as captured graphs, where the device has them: all taps then have to be SteeringBuffers'.
        """
        return DecoderState(self, conditioning, positions, first_frame, self.capture if may_capture else None)


class DecoderState:
    """Cache and place of one decoding. `taps` are called with the activations of each call and the Span they cover."""

    def __init__(
        self,
        decoder: Decoder,
        conditioning: Conditioning,
        positions: int,
        first_frame: int,
        capture: GraphCapture | None,
    ):
        checkpoint = decoder.checkpoint
        rows, width = len(conditioning.states), checkpoint.width
        self.decoder, self.conditioning = decoder, conditioning
        self.room, self.first_frame = conditioning.prefix + positions, first_frame
        self.length = 0  # positions in the cache, prefix included
        size = (len(decoder.blocks), rows, decoder.heads, self.room, width // decoder.heads)
        # Graphs read past the position, with weight 0, which does not take NaN away: their cache begins as zeros.
        make = torch.zeros if capture else torch.empty
        self.keys = make(size, device=checkpoint.device, dtype=decoder.dtype)
        self.values = make(size, device=checkpoint.device, dtype=decoder.dtype)
        self.positions = decoder.position_table(self.room).to(self.keys)
        self.text = None if conditioning.prefix else _Text(decoder, conditioning)
        self.graphs = StepGraphs(self, capture) if capture else None

    @property
    def codes_read(self) -> int:
        """Code positions in the cache."""
        return max(0, self.length - self.conditioning.prefix)

    @torch.inference_mode()
    def forward(self, tokens: torch.Tensor, taps: Taps) -> torch.Tensor:
        """Tokens [B, K, S] at the next S code positions -> logits [R, K, V] after the last of them."""
        conditioning = self.conditioning
        if self.graphs and self.length and tokens.shape[-1] == 1:
            self._check_room(self.length + 1)
            logits = self.graphs(tokens, taps)
            self.length += 1
            return logits
        h = self._embed(tokens)
        first, prefix = self.codes_read, 0
        if self.length == 0 and conditioning.prefix:
            h, prefix = torch.cat([conditioning.states.to(h), h], dim=1), conditioning.prefix
        span = Span(prefix, self.first_frame + first, h.shape[1])
        end = self.length + span.length
        self._check_room(end)
        h = h + self.positions[self.length : end]
        logits = self._through(h, DynamicCacheView(end, span.length), span, taps)
        self.length = end
        return logits

    def fixed_step(self, tokens: torch.Tensor, position: torch.Tensor, stretch: int, taps: Taps) -> torch.Tensor:
        """One position, [1] in a tensor, of which nothing depends but values: what a graph can capture."""
        h = self._embed(tokens) + self.positions.index_select(0, position)
        heard = (torch.arange(stretch, device=position.device) <= position)[None]
        return self._through(h, StaticCacheView(position, stretch, heard), Span(0, 0, 1), taps)

    def _embed(self, tokens: torch.Tensor) -> torch.Tensor:
        decoder = self.decoder
        ids = (tokens + decoder.first_row).transpose(1, 2)
        h = F.embedding(ids, decoder.embeddings).to(decoder.dtype).sum(2)
        return torch.cat([h, h]) if self.conditioning.guided else h

    def _check_room(self, end: int) -> None:
        if end > self.room:
            raise IndexError(f"{end} positions do not fit a cache of {self.room}")

    def _through(
        self, h: torch.Tensor, place: "DynamicCacheView | StaticCacheView", span: Span, taps: Taps
    ) -> torch.Tensor:
        """The blocks, the norm and the heads: logits [R, K, V] after the last position."""
        decoder = self.decoder
        for index, block in enumerate(decoder.blocks):
            h = self._attend(index, block, h, place, span, taps)
            if self.text is not None:
                h = self.text.attend(index, block, h, span, taps)
            h = h + block.feed_out(decoder.activation(block.feed_in(block.feed_norm(h))))
            h = run_taps(taps.get(("residual", index), ()), h, span)
        logits = decoder.logits(decoder.norm(h[:, -1]))
        return logits.view(len(h), decoder.checkpoint.codebooks, -1)

    def _attend(
        self,
        index: int,
        block: _Block,
        h: torch.Tensor,
        place: "DynamicCacheView | StaticCacheView",
        span: Span,
        taps: Taps,
    ) -> torch.Tensor:
        rows, length, width = h.shape
        q, k, v = block.query_key_value(block.attention_norm(h)).view(rows, length, 3, self.decoder.heads, -1).unbind(2)
        keys, values = place.put(self.keys[index], k), place.put(self.values[index], v)
        heads = F.scaled_dot_product_attention(
            q.transpose(1, 2), keys, values, attn_mask=place.mask, is_causal=length > 1
        )
        heads = heads.transpose(1, 2).reshape(rows, length, width)
        heads = run_taps(taps.get(("heads", index), ()), heads, span)
        attended = block.attention_out(heads)
        return h + run_taps(taps.get(("attention", index), ()), attended, span)


@dataclass(frozen=True)
class DynamicCacheView:
    """The cache up to `end`, the last `length` positions of it new."""

    end: int
    length: int
    mask: None = None

    def put(self, cache: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """New keys or values [R, S, H, D / H] into a layer's cache -> what attention reads."""
        valid = cache[:, :, : self.end]
        valid[:, :, -self.length :] = new.transpose(1, 2)
        return valid


@dataclass(frozen=True)
class StaticCacheView:
    """The first `stretch` positions of the cache, of which those in `mask` are heard; the new one stands at `position`."""

    position: torch.Tensor
    stretch: int
    mask: torch.Tensor

    def put(self, cache: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        cache.index_copy_(2, self.position, new.transpose(1, 2))
        return cache[:, :, : self.stretch]


class _Text:
    """Keys and values of the text, for the rows that have any: null rows attend to zeros, which is exactly 0."""

    def __init__(self, decoder: Decoder, conditioning: Conditioning):
        heard = conditioning.mask.bool().any(1)
        rows = heard.nonzero()[:, 0]
        # With guidance and no negative prompts the rows with text come first: a slice, and no copy, reaches them.
        self.place: slice | torch.Tensor = slice(0, len(rows)) if bool(heard[: len(rows)].all()) else rows
        self.heads = decoder.heads
        states, mask, self.group = _shared(conditioning.states[rows], conditioning.mask[rows].bool())
        self.mask = None if bool(mask.all()) else mask[:, None, None, :]
        states = _projected(decoder.checkpoint, states).to(decoder.dtype) * mask[..., None]
        self.keys, self.values = [], []
        for block in decoder.blocks:
            assert block.text_key_value is not None
            k, v = block.text_key_value(states).view(*states.shape[:2], 2, self.heads, -1).unbind(2)
            self.keys.append(k.transpose(1, 2).contiguous())
            self.values.append(v.transpose(1, 2).contiguous())

    def attend(self, index: int, block: _Block, h: torch.Tensor, span: Span, taps: Taps) -> torch.Tensor:
        assert block.text_norm and block.text_query and block.text_out
        heard = h[self.place]
        rows, length, width = heard.shape
        # The rows of one prompt are queries of one prompt: its keys and values are read once for all of them.
        q = block.text_query(block.text_norm(heard)).view(rows // self.group, self.group * length, self.heads, -1)
        heads = F.scaled_dot_product_attention(
            q.transpose(1, 2), self.keys[index], self.values[index], attn_mask=self.mask
        )
        attended = block.text_out(heads.transpose(1, 2).reshape(rows, length, width))
        here = taps.get(("cross_attention", index), ())
        if len(heard) == len(h):
            return h + run_taps(here, attended, span)
        spread = torch.zeros_like(h)
        spread[self.place] = attended
        return h + run_taps(here, spread, span)


def _shared(states: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
    """One row for each `group` neighbours that read the same text: states [R / group, P, D], mask [R / group, P], group."""
    rows = len(states)
    same = (states[1:] == states[:-1]).flatten(1).all(1) & (mask[1:] == mask[:-1]).all(1)
    starts = [0, *(int(i) + 1 for i in (~same).nonzero()), rows]
    group = math.gcd(*(end - start for start, end in pairwise(starts)))
    return states[::group], mask[::group], group


def _projected(checkpoint: Checkpoint, states: torch.Tensor) -> torch.Tensor:
    """Text states as wide as the decoder."""
    if states.shape[-1] == checkpoint.width:
        return states
    projection = checkpoint.model.enc_to_dec_proj
    return projection(states.to(projection.weight.dtype))
