"""A decoder block's weights, packed for its products."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from tonearm.musicgen.packed_linear import Linear, pack, stream_dtype


@dataclass(frozen=True)
class Norm:
    """Layer normalisation."""

    weight: torch.Tensor
    bias: torch.Tensor
    eps: float

    @classmethod
    def of(cls, module: Any) -> "Norm":
        dtype = stream_dtype(module.weight.device, module.weight.dtype)
        return cls(module.weight.detach().to(dtype), module.bias.detach().to(dtype), module.eps)

    def __call__(self, h: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(h, h.shape[-1:], self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class Block:
    """Weights of a decoder block; those of cross-attention are None on prefix checkpoints."""

    attention_norm: Norm
    query_key_value: Linear
    attention_out: Linear
    text_norm: Norm | None
    text_query: Linear | None
    text_key_value: Linear | None
    text_out: Linear | None
    feed_norm: Norm
    feed_in: Linear
    feed_out: Linear

    @classmethod
    def of(cls, layer: Any, int8: bool) -> "Block":
        def packed(*weights: torch.Tensor) -> Linear:
            return pack(torch.cat(weights), int8)

        own, text = layer.self_attn, getattr(layer, "encoder_attn", None)
        return cls(
            attention_norm=Norm.of(layer.self_attn_layer_norm),
            query_key_value=packed(own.q_proj.weight, own.k_proj.weight, own.v_proj.weight),
            attention_out=packed(own.out_proj.weight),
            text_norm=Norm.of(layer.encoder_attn_layer_norm) if text else None,
            text_query=packed(text.q_proj.weight) if text else None,
            text_key_value=packed(text.k_proj.weight, text.v_proj.weight) if text else None,
            text_out=packed(text.out_proj.weight) if text else None,
            feed_norm=Norm.of(layer.final_layer_norm),
            feed_in=packed(layer.fc1.weight),
            feed_out=packed(layer.fc2.weight),
        )
